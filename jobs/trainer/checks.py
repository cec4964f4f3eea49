"""What is refused before any stage runs: pure rules over what the driver has read."""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Sequence, Tuple

from jobs.trainer.cli import Options
from jobs.trainer.datalayer import Source
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.probe import Nets
from jobs.trainer.prototxt import Job

SOON = "Please adjust hyperparameters or increase dataset"


def cluster_size(options: Options, conf: Mapping[str, str]) -> int:
    """How many executors a job has: as dynamic allocation, YARN, or -clusterSize says.

    Raises:
        Refused: training with an allocation that may change.
    """
    if conf.get("spark.dynamicAllocation.enabled", "false").lower() == "true":
        low = int(conf.get("spark.dynamicAllocation.minExecutors", "0"))
        high = conf.get("spark.dynamicAllocation.maxExecutors", "")
        if options.train and high != str(low):
            raise Refused(
                "dynamic allocation of {} to {} executors".format(low, high or "any number of"),
                "while training, minExecutors and maxExecutors must be identical",
                "Set both to the same number.",
            )
        return max(1, low)
    if conf.get("spark.master", "").startswith("yarn"):
        return int(conf.get("spark.executor.instances", "1"))
    return options.cluster_size


def executors(requested: int, actual: int) -> None:
    """The executors that registered are as many as the job has ranks.

    Raises:
        TrainerError: they are not.
    """
    if actual != requested:
        raise TrainerError(
            "{} executors requested, {} registered".format(requested, actual),
            "actual number of executors is not as expected",
            "Mend -clusterSize, look for dead workers, or raise "
            "spark.scheduler.maxRegisteredResourcesWaitingTime.",
        )


def nets(options: Options, job: Job, found: Nets) -> None:
    """What the command line asks of the nets is in them.

    Raises:
        Refused: GPU mode, or a feature that is no blob of the TEST net.
    """
    if job.gpu:
        why = (
            "Cannot use GPU in CPU-only Caffe: check mode"
            if found.cpu_build
            else "the trainer computes on CPUs, whatever Caffe was built for"
        )
        raise Refused("solver_mode: GPU", why, "Set `solver_mode: CPU` in the solver's prototxt.")
    missing = [name for name in options.columns if name not in found.blobs]
    if missing:
        raise Refused(
            "-features or -label: " + ", ".join(missing),
            "the TEST net has no such blob",
            "There are: {}.".format(", ".join(name for name in found.blobs if "_split_" not in name)),
        )


def records(source: Source, shape: Optional[Tuple[int, int, int]]) -> None:
    """The source's first record fits the data layer.

    Raises:
        Refused: there is no record, or it has another shape.
    """
    if shape is None:
        raise Refused(source.uri, "it has no records", "Give an LMDB that has.")
    source.transform.check(*shape)
    crop = source.transform.crop
    given = (shape[0], crop, crop) if crop else shape
    if given != source.shape:
        raise Refused(
            source.uri,
            "its records are {}x{}x{}, and the {} layer says {}x{}x{}".format(
                *given, source.phase, *source.shape
            ),
            "Mend channels, height and width in memory_data_param.",
        )


def enough(job: Job, size: int, training: int, validation: int) -> None:
    """The sources have enough records to train with.

    Raises:
        Refused: they have not; the message says what is there, what is needed, and what would be possible.
    """
    if job.test_interval:
        each = job.test_interval * job.train.batch
        if training < each * size:
            raise Refused(
                "{} training records for {} executors".format(training, size),
                "Insufficient training data: test_interval {} x batch {} x {} executors need {} (at most {} "
                "executors)".format(job.test_interval, job.train.batch, size, each * size, training // each),
                SOON + ".",
            )
        need = job.test_iter * job.test.batch
        if validation < need:
            raise Refused(
                "{} validation records".format(validation),
                "Insufficient validation data: test_iter {} x batch {} needs {}".format(
                    job.test_iter, job.test.batch, need
                ),
                SOON + ".",
            )
    if training < size:
        raise Refused(
            "{} training records for {} executors".format(training, size),
            "Insufficient training data: each executor needs one",
            SOON + ".",
        )


def names(sources: Sequence[str], files: Sequence[str]) -> None:
    """Files keep only their last name on the nodes, and one that was brought is not brought again.

    `sources` may be read twice; `files` are the models and snapshots, the one that training writes included.

    Raises:
        Refused: two of them would have the same name there.
    """
    seen: Dict[str, str] = {}
    for uri in [*dict.fromkeys(sources), *files]:
        name = uri.rstrip("/").rpartition("/")[2]
        if name in seen and not uri.startswith("file:"):
            raise Refused(
                "{} and {}".format(seen[name], uri),
                "both would be called {} on the nodes".format(name),
                "Rename one of them.",
            )
        seen[name] = uri


def model_uri(uri: str, job: Job) -> str:
    """-model, its `.h5` added or removed to match the snapshot format."""
    stem = uri[: -len(".h5")] if uri.endswith(".h5") else uri
    return stem + job.suffix
