"""Samples of ImageDataFrame: rows of a DataFrame."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, NamedTuple, Sequence, Tuple

from jobs.trainer.errors import Refused
from jobs.trainer.sources.samples import Sample

NEEDED = ("label", "data")
COLUMNS = (*NEEDED, "id", "channels", "height", "width", "encoded")


class Reading(NamedTuple):
    """How a data layer has a DataFrame read."""

    columns: Tuple[str, ...] = ()
    """Expressions of SQL, dataframe_column_select; none: the columns as they are."""
    format: str = "parquet"
    encoded: bool = False
    """image_encoded: of all images, where there is no such column."""


AS_IT_IS = Reading()


def known(columns: Sequence[str], uri: str) -> Tuple[str, ...]:
    """Return the columns with the names that samples have; as for Spark, case does not count.

    Raises:
        Refused: one without which there is no sample is missing, or two have one name.
    """
    names = tuple(name.lower() if name.lower() in COLUMNS else name for name in columns)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise Refused("columns-missing", uri=uri, missing=", ".join(missing), columns=", ".join(columns))
    for name in COLUMNS:
        same = [column for column in columns if column.lower() == name]
        if len(same) > 1:
            raise Refused("columns-repeated", uri=uri, columns=", ".join(same))
    return names


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
