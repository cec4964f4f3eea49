"""Record sources by the `source_class` of a data layer.

Ranks read LMDBs of Datum. A new source of these is a module here that implements `RecordSource`, and one line
in `_SOURCES`. Sources of other kinds are converted to an LMDB before ranks start
(`jobs/trainer/conversion.py`): their classes are in `_CONVERTED` too, and a module here makes samples
(`samples.Sample`) of what Spark reads. Classes of the user's own are converted likewise (`custom`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, List, Mapping, Protocol

from jobs.trainer.errors import Refused
from jobs.trainer.sources import custom
from jobs.trainer.sources.base import RecordSource
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.parallel import ParallelLmdbs
from jobs.trainer.sources.samples import id_of

PREFIX = "com.yahoo.ml.caffe."
LMDB = PREFIX + "LMDB"
SEQUENCE, FRAME = PREFIX + "SeqImageDataSource", PREFIX + "ImageDataFrame"
COLUMNS = PREFIX + "DataFrameSource"
_CONVERTED = (SEQUENCE, FRAME, COLUMNS)
"""Sources that are converted to LMDBs, with keys of `samples.key_of`; of COLUMNS one for each column."""


class SourceClass(Protocol):
    """Constructor of a record source."""

    marker: str
    """File in a source's folder, by which storage is asked for the source."""

    def __call__(self, path: Path, datum: Any) -> RecordSource:  # noqa: ANN401
        """Open the source at a local path."""


_SOURCES: Mapping[str, SourceClass] = {
    LMDB: Lmdb,
    SEQUENCE: Lmdb,
    FRAME: Lmdb,
    COLUMNS: ParallelLmdbs,
}


BUILT_IN = ", ".join(_SOURCES)
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


def check_class(name: str) -> None:
    """Check a data layer's `source_class`.

    Raises:
        Refused: it is neither built in nor a class that can be imported.
    """
    if name in _SOURCES:
        return
    if not is_custom(name):
        raise Refused("source-class-unknown", source_class=name, valid=BUILT_IN)
    custom.class_of(name, BUILT_IN)


def is_custom(source_class: str) -> bool:
    """Return whether a source class is named as the user's own are: with a module, not CaffeOnSpark's."""
    return bool(_NAME.fullmatch(source_class)) and not source_class.startswith(PREFIX)


def is_converted(source_class: str) -> bool:
    """Return whether the driver converts sources of a class to LMDBs."""
    return source_class in _CONVERTED or is_custom(source_class)


def marker(source_class: str) -> str:
    """Return the file by which storage is asked for a source of this class; empty for the source itself."""
    return "" if is_converted(source_class) else _SOURCES[source_class].marker


def own_ids(source_class: str, keys: List[str]) -> List[str]:
    """Return the ids that records have in their source, by their keys in the LMDB."""
    return [id_of(key) for key in keys] if is_converted(source_class) else keys


def open_source(source_class: str, path: Path, datum: Any) -> RecordSource:  # noqa: ANN401
    """Open a source at a local path.

    Args:
        source_class: as the data layer names it.
        path: its file or folder.
        datum: caffe_pb2.Datum, or a stand-in of tests.

    Raises:
        Refused: it cannot be read.
    """
    return _SOURCES.get(source_class, Lmdb)(path, datum)
