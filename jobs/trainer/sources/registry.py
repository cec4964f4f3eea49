"""Record sources by the `source_class` of a data layer.

A new source is a module here that implements `RecordSource`, and one line in `_SOURCES`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Protocol

from jobs.trainer.errors import Refused
from jobs.trainer.sources.base import RecordSource
from jobs.trainer.sources.lmdb import Lmdb

PREFIX = "com.yahoo.ml.caffe."
LMDB = PREFIX + "LMDB"


class SourceClass(Protocol):
    """Constructor of a record source."""

    marker: str
    """File in a source's folder, by which storage is asked for the source."""

    def __call__(self, path: Path, datum: Any) -> RecordSource:  # noqa: ANN401
        """Open the source at a local path."""


_SOURCES: Mapping[str, SourceClass] = {LMDB: Lmdb}
LATER = ("SeqImageDataSource", "ImageDataFrame", "DataFrameSource")
"""CaffeOnSpark's other sources."""


def check_class(name: str) -> None:
    """Check a data layer's `source_class`.

    Raises:
        Refused: there is no such source.
    """
    if name in _SOURCES:
        return
    short = name[len(PREFIX) :] if name.startswith(PREFIX) else name
    raise Refused(
        "source-class-unsupported" if short in LATER else "source-class-unknown",
        source_class=name,
        valid=", ".join(_SOURCES),
    )


def marker(source_class: str) -> str:
    """Return the file by whose existence storage is checked for a source of this class."""
    return _SOURCES[source_class].marker


def open_source(source_class: str, path: Path, datum: Any) -> RecordSource:  # noqa: ANN401
    """Open a source at a local path.

    Args:
        source_class: as the data layer names it.
        path: its file or folder.
        datum: caffe_pb2.Datum, or a stand-in of tests.

    Raises:
        Refused: it cannot be read.
    """
    return _SOURCES[source_class](path, datum)
