"""Data sets by the names that specifications have for them: built-in ones, and the user's own.

A new built-in set is a module here with `data_set`, and a line in `_BUILT_IN`. Own ones are whatever
`fab data put` has put into shared storage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bootstrap import paths
from bootstrap.storage.folders import Folder
from jobs.datasets import cifar10, mnist
from jobs.datasets.base import PHASES, DataSet

_BUILT_IN: Final[Mapping[str, Callable[[], DataSet]]] = {"mnist": mnist.data_set, "cifar10": cifar10.data_set}
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def built_in(name: str) -> DataSet | None:
    """Return a built-in data set; None for the name of an own one."""
    make = _BUILT_IN.get(name)
    return make() if make else None


def built_in_names() -> tuple[str, ...]:
    """Return the names of the built-in data sets."""
    return tuple(_BUILT_IN)


def fault(name: str) -> str:
    """Return why a text cannot be the name of a data set; empty for one that can."""
    if _NAME.fullmatch(name):
        return ""
    form = "a letter, then up to 39 letters, digits, _ and -, all lower case"
    return f"{name!r} is not a valid name of data: {form}"


def shipped(name: str | None) -> tuple[Path, ...]:
    """Return the files that a data set adds to a job."""
    chosen = built_in(name) if name else None
    return tuple(chosen.shipped) if chosen else ()


def folder_of(name: str) -> Folder | None:
    """Return the folder of a built-in data set in shared storage; None for the name of an own one."""
    chosen = built_in(name)
    if chosen is None:
        return None
    return Folder(path_of(name), chosen.inputs, tuple(f"{phase}_lmdb/data.mdb" for phase in PHASES))


def path_of(name: str) -> str:
    """Return the path of a data set's folder in shared storage."""
    return f"{paths.DATA}/{name}"
