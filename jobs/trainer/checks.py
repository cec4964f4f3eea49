"""Checks before any stage runs. Pure."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

from jobs.trainer.caffe.axes import NO_AXIS
from jobs.trainer.caffe.datalayer import TOLD, DataLayer
from jobs.trainer.caffe.probe import Nets
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.cli import Options
from jobs.trainer.contract import (
    EXECUTOR_GPUS_CONF,
    FLOAT32,
    GRADIENTS,
    GRADIENTS_CONF,
    REUSE_CONF,
    TASK_GPUS_CONF,
)
from jobs.trainer.errors import Refused
from jobs.trainer.policy import policy
from jobs.trainer.shapes import in_words


def cluster_size(options: Options, conf: Mapping[str, str]) -> int:
    """Return the number of executors by dynamic allocation, YARN, or -clusterSize.

    Raises:
        Refused: training with an allocation that may change.
    """
    if conf.get("spark.dynamicAllocation.enabled", "false").lower() == "true":
        low = int(conf.get("spark.dynamicAllocation.minExecutors", "0"))
        high = conf.get("spark.dynamicAllocation.maxExecutors", "")
        if options.train and high != str(low):
            raise Refused("allocation-not-fixed", low=low, high=high or "any number of")
        return max(1, low)
    if conf.get("spark.master", "").startswith("yarn"):
        return int(conf.get("spark.executor.instances", "1"))
    return options.cluster_size


def started(
    options: Options, job: TrainingJob, conf: Mapping[str, str], *, cpu_build: bool, nccl: bool
) -> int:
    """Require what the settings of a Spark context decide; return the number of its executors.

    Raises:
        Refused: as `cluster_size`, `devices`, `connection`, `gradients` and `policy`.
    """
    devices(options, job, conf, cpu_build=cpu_build)
    size = cluster_size(options, conf)
    connection(options, size * options.devices, nccl=nccl)
    gradients(conf, nccl=nccl and job.gpu)
    policy(conf, size)
    return size


def gradients(conf: Mapping[str, str], *, nccl: bool) -> str:
    """Return the precision of gradients on their way.

    Raises:
        Refused: it is unknown, or NCCL averages them, which has no other precision.
    """
    given = conf.get(GRADIENTS_CONF, FLOAT32)
    if given not in GRADIENTS:
        raise Refused("gradients-unknown", given=given, known=", ".join(GRADIENTS))
    if nccl and given != FLOAT32:
        raise Refused("gradients-by-nccl", given=given)
    return given


def connection(options: Options, ranks: int, *, nccl: bool) -> None:
    """Require a connection that this product has, where several ranks train.

    Raises:
        Refused: it is not ethernet, and gradients are not averaged by NCCL, which finds InfiniBand itself.
    """
    if options.train and ranks > 1 and not nccl and options.connection.lower() != "ethernet":
        raise Refused("connection-unsupported", connection=options.connection, executors=ranks)


def devices(options: Options, job: TrainingJob, conf: Mapping[str, str], *, cpu_build: bool) -> None:
    """Require one device in CPU mode, and in GPU mode a build and a GPU for each rank.

    Raises:
        Refused: Caffe was built without CUDA, or Spark's settings give no GPU or process to each rank.
    """
    if not job.gpu:
        if options.devices > 1:
            raise Refused("devices-unsupported", devices=options.devices)
        return
    if cpu_build:
        raise Refused("gpu-mode-on-cpu-build")
    executor, task = (conf.get(name, "0") for name in (EXECUTOR_GPUS_CONF, TASK_GPUS_CONF))
    if (executor, task) != (str(options.devices), "1"):
        raise Refused("gpus-not-requested", devices=options.devices, executor=executor, task=task)
    # An executor of one GPU grants the same one to all its tasks.
    if options.devices > 1 and conf.get(REUSE_CONF, "true").lower() != "false":
        raise Refused("gpu-workers-reused", devices=options.devices)


def overruled(options: Options, size: int) -> Tuple[str, ...]:
    """Return a line if -clusterSize is given, and the cluster manager's settings decide otherwise."""
    if options.cluster_size in {1, size}:
        return ()
    words = "-clusterSize {} has no effect: Spark's settings decide, and give {}"
    return (words.format(options.cluster_size, size),)


def nets(options: Options, job: TrainingJob, found: Nets) -> None:
    """Require the requested features as blobs of the TEST net, and values by sample of all that is evaluated.

    Raises:
        Refused: a feature is not a blob of the TEST net; or the batch of a feature, or of an output that has
            means, is merged with another axis.
    """
    missing = [name for name in options.columns if name not in found.blobs]
    # Without a shape, the net is not built yet.
    if missing and job.tests[0].data.shape != TOLD:
        valid = ", ".join(name for name in found.blobs if "_split_" not in name)
        raise Refused("blob-missing", blobs=", ".join(missing), valid=valid)
    axes = found.axes[0] if found.axes else {}
    for name in options.columns:
        if axes.get(name) == NO_AXIS:
            raise Refused("blob-not-by-sample", blob=name, shape=in_words(found.blobs[name]))
    for number, merged in enumerate(found.merged):
        has_means = (options.test and number == 0) or (options.train and job.tests[number].test_iter)
        for name, shape in merged.items() if has_means else ():
            net = job.numbered("TEST", number)
            raise Refused("output-not-by-sample", net=net, blob=name, shape=in_words(shape))


def evaluated(options: Options, job: TrainingJob) -> Tuple[int, ...]:
    """Return the numbers of the TEST nets in use: -test and -features score the first, training validates."""
    return tuple(
        number
        for number, test in enumerate(job.tests)
        if (options.scores and number == 0) or (options.train and test.test_iter)
    )


def last_batch(options: Options, job: TrainingJob, counts: Mapping[str, int]) -> int:
    """Return the records of the last batch that is scored where it is smaller than the others, else 0.

    `counts` has the records of sources by phase and number.
    """
    return counts[job.numbered("TEST", 0)] % job.tests[0].data.batch if options.scores else 0


def whole_batches(job: TrainingJob, found: Nets, last: int, counts: Mapping[str, int]) -> None:
    """Require a last batch as large as the others where the scored net takes no smaller one.

    Raises:
        Refused: it is smaller. In a full batch with repeats, outputs such as accuracy would count these.
    """
    if last and found.fixed:
        net = job.numbered("TEST", 0)
        batch = job.tests[0].data.batch
        raise Refused(
            "last-batch-refused", net=net, records=counts[net], last=last, batch=batch, reason=found.fixed
        )


def weights(options: Options, job: TrainingJob) -> Tuple[str, ...]:
    """Return what training starts from: -weights, which replace the solver's `weights` as Caffe's do."""
    return (options.weights or job.weights) if options.train else ()


def starts(options: Options, job: TrainingJob) -> List[Tuple[str, str]]:
    """Return the files that training starts from, each with the option that names it."""
    field = "-weights" if options.weights else "weights in the solver:"
    found = [(field, uri) for uri in weights(options, job)]
    return found + [("-snapshot", options.snapshot)] * bool(options.snapshot)


def records(source: DataLayer, shape: Optional[Tuple[int, int, int]]) -> None:
    """Require that the source's first record fits the data layer, where its shape is known.

    Raises:
        Refused: the record has another shape.
    """
    if shape is None:
        return
    if source.resize:
        # Its height and width do not count, and what its image becomes is checked record by record.
        shape = (shape[0], *source.shape[1:])
    source.transform.check(*shape)
    crop = source.transform.crop
    given = (shape[0], crop, crop) if crop else shape
    if given != source.told(shape).shape:
        raise Refused(
            "record-shape-differs",
            uri=source.uri,
            record=in_words(given),
            phase=source.phase,
            layer=in_words(source.shape),
        )


def enough(job: TrainingJob, ranks: int, training: int, validation: Sequence[int]) -> None:
    """Require enough records to train and validate; `validation` has those of each TEST net's source.

    Raises:
        Refused: too few; the message has the available and needed records and the possible ranks.
    """
    if job.test_interval:
        each = job.test_interval * job.train.batch
        if training < each * ranks:
            raise Refused(
                "training-records-too-few",
                records=training,
                executors=ranks,
                test_interval=job.test_interval,
                batch=job.train.batch,
                needed=each * ranks,
                possible=training // each,
            )
        for test, count in zip(job.tests, validation):
            need = test.test_iter * test.data.batch
            if count < need:
                raise Refused(
                    "validation-records-too-few",
                    records=count,
                    test_iter=test.test_iter,
                    batch=test.data.batch,
                    needed=need,
                )
    if training < ranks:
        raise Refused("records-fewer-than-executors", records=training, executors=ranks)


def model_uri(uri: str, job: TrainingJob) -> str:
    """Return -model with `.h5` added or removed to match the snapshot format."""
    stem = uri[: -len(".h5")] if uri.endswith(".h5") else uri
    return stem + job.suffix
