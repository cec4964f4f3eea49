"""Samples of ImageDataFrame: rows of a DataFrame."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, NamedTuple, Sequence, Tuple

from jobs.trainer.errors import Refused
from jobs.trainer.sources.samples import Sample

NEEDED = ("label", "data")


class Reading(NamedTuple):
    """How a data layer has a DataFrame read."""

    columns: Tuple[str, ...] = ()
    """Expressions of SQL, dataframe_column_select; none: the columns as they are."""
    format: str = "parquet"
    encoded: bool = False
    """image_encoded: of all images, where there is no such column."""


AS_IT_IS = Reading()


def require_columns(columns: Sequence[str], uri: str) -> None:
    """Require the columns without which there is no sample.

    Raises:
        Refused: one is missing.
    """
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise Refused("columns-missing", uri=uri, missing=", ".join(missing), columns=", ".join(columns))


def samples(rows: Iterable[Sequence[Any]], columns: Sequence[str], *, encoded: bool) -> Iterator[Sample]:
    """Yield the samples of rows; without a column `id` the id is empty, as in CaffeOnSpark."""
    for row in rows:
        given = dict(zip(columns, row))
        own = given.get("encoded")
        yield Sample(
            id=given.get("id"),
            label=given["label"],
            channels=given.get("channels"),
            height=given.get("height"),
            width=given.get("width"),
            encoded=encoded if own is None else own,
            data=given["data"],
        )
