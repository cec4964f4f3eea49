"""Checks before any stage runs. Pure."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

from jobs.trainer.caffe.datalayer import TOLD, DataLayer
from jobs.trainer.caffe.probe import Nets
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.cli import Options
from jobs.trainer.errors import Refused


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


def connection(options: Options, size: int) -> None:
    """Require a connection that this product has, where several executors train.

    Raises:
        Refused: it is not ethernet.
    """
    if options.train and size > 1 and options.connection.lower() != "ethernet":
        raise Refused("connection-unsupported", connection=options.connection, executors=size)


def overruled(options: Options, size: int) -> Tuple[str, ...]:
    """Return a line if -clusterSize is given, and the cluster manager's settings decide otherwise."""
    if options.cluster_size in {1, size}:
        return ()
    words = "-clusterSize {} has no effect: Spark's settings decide, and give {}"
    return (words.format(options.cluster_size, size),)


def nets(options: Options, job: TrainingJob, found: Nets) -> None:
    """Require CPU mode, and the requested features as blobs of the TEST net.

    Raises:
        Refused: GPU mode, or a feature that is not a blob of the TEST net.
    """
    if job.gpu:
        raise Refused("gpu-mode-on-cpu-build" if found.cpu_build else "gpu-mode-unsupported")
    missing = [name for name in options.columns if name not in found.blobs]
    # Without a shape, the net is not built yet.
    if missing and job.tests[0].data.shape != TOLD:
        valid = ", ".join(name for name in found.blobs if "_split_" not in name)
        raise Refused("blob-missing", blobs=", ".join(missing), valid=valid)


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
    source.transform.check(*shape)
    crop = source.transform.crop
    given = (shape[0], crop, crop) if crop else shape
    if given != source.told(shape).shape:
        raise Refused(
            "record-shape-differs",
            uri=source.uri,
            record="{}x{}x{}".format(*given),
            phase=source.phase,
            layer="{}x{}x{}".format(*source.shape),
        )


def enough(job: TrainingJob, size: int, training: int, validation: Sequence[int]) -> None:
    """Require enough records to train and validate; `validation` has those of each TEST net's source.

    Raises:
        Refused: too few; the message has the available and needed records and the possible executors.
    """
    if job.test_interval:
        each = job.test_interval * job.train.batch
        if training < each * size:
            raise Refused(
                "training-records-too-few",
                records=training,
                executors=size,
                test_interval=job.test_interval,
                batch=job.train.batch,
                needed=each * size,
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
    if training < size:
        raise Refused("records-fewer-than-executors", records=training, executors=size)


def model_uri(uri: str, job: TrainingJob) -> str:
    """Return -model with `.h5` added or removed to match the snapshot format."""
    stem = uri[: -len(".h5")] if uri.endswith(".h5") else uri
    return stem + job.suffix
