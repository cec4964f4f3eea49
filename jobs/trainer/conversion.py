"""Sources that are no LMDB, converted to one: so ranks read, shard and resume all sources in one way.

One of several columns becomes an LMDB for each of them, with the same keys.

The driver converts a source once, before ranks start, in the order of its files' names and of the records in
them. The database lies in the job's own folder on the driver's node, and ends with the job.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from jobs.trainer import contract
from jobs.trainer.caffe.blobs import columns_of
from jobs.trainer.caffe.datalayer import TOLD, DataLayer
from jobs.trainer.errors import Refused
from jobs.trainer.events.journal import Journal
from jobs.trainer.files.distribution import Distribution
from jobs.trainer.files.hadoop import Files
from jobs.trainer.sources import columns, custom, frame, reading, sequence
from jobs.trainer.sources.registry import BUILT_IN, SEQUENCE, is_converted, is_custom
from jobs.trainer.sources.samples import Context, Sample, record
from jobs.trainer.sources.writing import write, write_several

TOLD_S = 5.0
"""Seconds between reports."""


class _Converted(NamedTuple):
    name: str
    """For `locate`."""
    images: bool
    """Some are encoded, and become grey or coloured as the layer takes them."""


_Key = Tuple[str, str, str, Tuple[int, int, int], frame.Reading, Tuple[columns.Column, ...]]


class Conversions:
    """Sources of a job as LMDBs on all nodes; `folder` is a local one that lives as long as the job."""

    def __init__(  # noqa: PLR0917
        self,
        spark: Any,  # noqa: ANN401 - pyspark has no types here
        files: Files,
        nodes: Distribution,
        folder: Path,
        journal: Journal,
        datum: Any,  # noqa: ANN401
    ) -> None:
        self._spark, self._files, self._nodes = spark, files, nodes
        self._folder, self._journal, self._datum = folder, journal, datum
        self._done: Dict[_Key, _Converted] = {}
        self._heard = False

    def heard(self) -> bool:
        """Return True if Spark has given a record since the last call."""
        heard, self._heard = self._heard, False
        return heard

    def add(self, phase: str, source: DataLayer) -> str:
        """Distribute a source to all nodes, converted if it is no LMDB; return its name for `locate`.

        Raises:
            TrainerError: it cannot be read, or the database cannot be written.
        """
        if not is_converted(source.source_class):
            return self._nodes.add(source.uri, folder=True)
        key = _key(source)
        if key not in self._done:
            self._done[key] = self._convert(phase, source)
        return self._done[key].name

    def name(self, source: DataLayer) -> str:
        """Return the name of a source that has been added."""
        done = self._done.get(_key(source))
        return done.name if done else self._nodes.add(source.uri)

    def decoded(self, source: DataLayer) -> DataLayer:
        """Return a layer as its images are decoded."""
        done = self._done.get(_key(source))
        return source.with_images() if done and done.images else source

    def _convert(self, phase: str, source: DataLayer) -> _Converted:
        context = Context(source.uri, source.shape, self._datum)
        tally = _Tally(phase, self._journal)
        folder = "converting-{}-{}".format
        folders = [self._folder / folder(len(self._done), number) for number, _ in enumerate(source.blobs)]
        for one in folders:
            # Of an attempt that an executor was lost in.
            shutil.rmtree(one, ignore_errors=True)
        if source.columns:
            write_several(self._rows(source, context, tally), folders)
        else:
            write(self._records(self._samples(source), context, tally), folders[0])
        if not tally.records:
            raise Refused("source-empty", uri=source.uri)
        tally.tell()
        files = [folder / "data.mdb" for folder in folders]
        several = bool(source.columns)
        name = self._nodes.add_databases(files) if several else self._nodes.add_database(files[0])
        return _Converted(name, tally.images > 0)

    def _rows(
        self, source: DataLayer, context: Context, tally: "_Tally"
    ) -> Iterator[Tuple[bytes, List[bytes]]]:
        names, rows = reading.rows(self._spark, source.uri, source.reading)
        for one in columns.records(rows, names, columns_of(source.columns), context):
            self._heard = True
            yield one
            tally.add(image=False)

    def _samples(self, source: DataLayer) -> Iterator[Sample]:
        uri = source.uri
        if is_custom(source.source_class):
            layer = custom.Layer(source.layer, source.phase, *source.shape)
            return custom.samples(source.source_class, uri, layer, BUILT_IN)
        if source.source_class == SEQUENCE:
            files = [reading.File(*one) for one in self._files.listed(uri)]
            return sequence.samples(reading.pairs(self._spark.sparkContext, files, uri), uri)
        names, rows = reading.rows(self._spark, uri, source.reading)
        return frame.samples(rows, frame.known(names, uri), encoded=source.reading.encoded)

    def _records(
        self, samples: Iterator[Sample], context: Context, tally: "_Tally"
    ) -> Iterator[Tuple[bytes, bytes]]:
        for position, sample in enumerate(samples):
            self._heard = True
            yield record(sample, position, context)
            tally.add(image=bool(sample.encoded))


class _Tally:
    """Count of converted records, told every few seconds."""

    def __init__(self, phase: str, journal: Journal) -> None:
        self._phase, self._journal = phase, journal
        self.records, self.images = 0, 0
        self._next = time.monotonic() + TOLD_S

    def add(self, *, image: bool) -> None:
        """Count a record."""
        self.records += 1
        self.images += image
        if time.monotonic() > self._next:
            self._next = time.monotonic() + TOLD_S
            self.tell()

    def tell(self) -> None:
        """Report the count."""
        self._journal.add(contract.Converting(self._phase, self.records))


def _key(source: DataLayer) -> _Key:
    # A class of the user's may give other records to another layer, or in another phase.
    own = "{} {}".format(source.phase, source.layer) if is_custom(source.source_class) else ""
    # Columns have shapes of their own, before they are transformed.
    shape = TOLD if source.columns else source.shape
    return source.source_class, source.uri, own, shape, source.reading, columns_of(source.columns)
