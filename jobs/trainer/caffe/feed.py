"""Batches of a data layer, read and transformed ahead of the net by the native module `caffe_feed`."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Callable, Iterable, Iterator, List, Tuple, TypeVar

import numpy as np

from jobs.trainer.caffe.blobs import Blob
from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.caffe.labels import ANY
from jobs.trainer.errors import Refused
from jobs.trainer.sources.base import RecordSource
from jobs.trainer.sources.registry import is_converted
from jobs.trainer.sources.shards import Request
from jobs.trainer.sources.transform import Transform

AHEAD = 2
"""Batches that are read while the net uses one."""


T = TypeVar("T")


class Feed:
    """Batches in the order in which they are asked for, from a source that outlives it.

    Random crops and mirrors follow from `seed` and a record's index alone. So they depend neither on the
    number of ranks nor on the iteration that a run resumes from. Repetitions of the source differ.
    """

    def __init__(self, layer: DataLayer, source: RecordSource, seed: int = 0) -> None:
        self._layer, self._source = layer, source
        self._blobs = layer.blobs
        self._natives = [_native_feed(blob, seed) for blob in self._blobs]
        for native, path in zip(self._natives, source.paths):
            native.open(str(path))
        self._requests: Iterator[Request] = iter(())
        self._asked: List[Request] = []
        """Not taken yet."""

    def ask(self, requests: Iterable[Request]) -> None:
        """Ask for batches, after those that were asked for before."""
        self._requests = chain(self._requests, requests)

    def attach(self, solver: Any) -> None:  # noqa: ANN401 - pycaffe has no types
        """Give each forward pass of a solver's net the next batch."""
        for native, blob in zip(self._natives, self._blobs):
            native.attach(solver, blob.name, blob.label_blob)

    def step(self, solver: Any, seed: int, passes: int) -> float:  # noqa: ANN401
        """Run one iteration of `passes` batches; return the mean of their losses.

        Caffe draws its random numbers (Dropout) from `seed` on.

        Raises:
            Refused: the layer does not take a record; it is named.
        """
        self._ask(passes + AHEAD)
        loss = float(self._told(lambda: self._natives[0].step(solver, seed)))
        del self._asked[:passes]
        return loss

    def upcoming(self) -> int:
        """Return the size of the next batch; 0 after the last one."""
        self._ask(1 + AHEAD)
        return self._asked[0].size if self._asked else 0

    def take(self, *tops: np.ndarray) -> List[str]:
        """Copy the next batch into an array for each top; return the records' ids. Raises as `step`."""
        self._ask(1 + AHEAD)
        ids: List[str] = []
        arrays = iter(tops)
        for native, blob in zip(self._natives, self._blobs):
            batch = next(arrays), next(arrays) if blob.label_blob else None
            ids = self._told(partial(native.take, *batch))
        del self._asked[:1]
        return ids

    def close(self) -> None:
        """End the threads that read."""
        for native in self._natives:
            native.close()

    def _ask(self, ahead: int) -> None:
        while len(self._asked) < ahead:
            request = next(self._requests, None)
            if request is None:
                return
            for native in self._natives:
                native.request(*request)
            self._asked.append(request)

    def _told(self, action: Callable[[], T]) -> T:
        import caffe_feed

        try:
            return action()
        except caffe_feed.BadRecord as error:
            # What was converted lies in a folder of Spark's, which tells nobody what to fix.
            path = self._layer.uri if is_converted(self._layer.source_class) else str(self._source.paths[0])
            fields = {"phase": self._layer.phase, "path": path, **error.fields}
            column = self._column_of(error)
            if column:
                fields["key"] = '{}, column "{}",'.format(fields["key"], column)
            raise Refused(error.code, **fields) from error

    def _column_of(self, error: Any) -> str:  # noqa: ANN401
        """Return the column that has a bad record; empty for a layer without columns."""
        import caffe_feed

        for native, top in zip(self._natives, self._layer.columns):
            try:
                # A feed that has failed fails again; others give the batch after it.
                native.take(np.zeros(0, np.float32), None)
            except caffe_feed.BadRecord as again:
                if (again.code, again.fields) == (error.code, error.fields):
                    return top.column.name
            except (ValueError, RuntimeError):
                continue
        return ""


def record_shape(layer: DataLayer, source: RecordSource) -> Tuple[int, int, int]:
    """Return (channels, height, width) of the first record, as Caffe decodes it.

    The refusal of a record that does not fit has them.

    Raises:
        Refused: the record cannot be decoded.
    """
    forced = Transform(force_color=layer.transform.force_color, force_gray=layer.transform.force_gray)
    one = replace(layer, shape=(1, 1, 1), transform=forced, labels=ANY)
    with closing(Feed(one, source)) as feed:
        feed.ask([Request(0, 1, 1)])
        try:
            feed.take(np.zeros((1, 1, 1, 1), np.float32), np.zeros(1, np.float32))
        except Refused as error:
            if error.code != "record-does-not-fit":
                raise
            channels, height, width = map(int, error.fields["record"].split("x"))
            return channels, height, width
    return one.shape


def step_seed(seed: int, rank: int, iteration: int) -> int:
    """Return the seed of a rank's random numbers in an iteration, those of Dropout, which differ by rank."""
    text = "{} {} {}".format(seed, rank, iteration)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def _native_feed(blob: Blob, seed: int) -> Any:  # noqa: ANN401
    import caffe_feed

    from jobs.trainer.caffe.native import protos

    channels, height, width = blob.shape
    transform = blob.transform
    parameter = protos().TransformationParameter(
        scale=transform.scale,
        mirror=transform.mirror,
        crop_size=transform.crop,
        mean_value=transform.mean_values,
        force_color=transform.force_color,
        force_gray=transform.force_gray,
    )
    mean = transform.mean
    if mean is not None:
        stored = protos().BlobProto(num=1, channels=mean.shape[0], height=mean.shape[1], width=mean.shape[2])
        stored.data.extend(mean.ravel().tolist())
    described = {
        "channels": channels,
        "height": height,
        "width": width,
        "train": transform.train,
        "mean": [] if mean is None else list(mean.shape),
        "classes": blob.labels.classes,
        "ignored": list(blob.labels.ignored),
        "seed": seed,
        "resize": list(blob.resize),
        "transposed": blob.transposed,
        "values_are_labels": bool(blob.labels.classes) and not blob.label_blob,
    }
    with tempfile.NamedTemporaryFile(prefix="caffe-spark-", suffix=".binaryproto") as file:
        if mean is not None:
            # Caffe reads it from a file alone, at once.
            file.write(stored.SerializeToString())
            file.flush()
            parameter.mean_file = file.name
        return caffe_feed.Feed({**described, "transform": parameter.SerializeToString()})
