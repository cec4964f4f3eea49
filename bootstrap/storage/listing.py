"""Listings of shared storage, as `hdfs dfs -ls` and `-count` print them on the head."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from bootstrap.storage.hadoop import SharedStorage

_ENTRY: Final = re.compile(r"([-d])\S*\s+\S+\s+\S+\s+\S+\s+(\d+)\s+\d{4}-\d\d-\d\d \d\d:\d\d\s+(\S.*)")
"""Mode, replication, owner, group, size, time, path."""
_COUNT: Final = re.compile(r"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S.*)")
"""Folders with the counted one, files, bytes, path."""


class Entry(NamedTuple):
    """A file or folder, by its name."""

    name: str
    folder: bool
    size: int


class Count(NamedTuple):
    """All that is in a folder, by the folder's name."""

    name: str
    folders: int
    """With the folder itself."""
    files: int
    size: int


def listed(storage: SharedStorage, folder: str) -> list[Entry]:
    """Return what is in a folder; nothing where it does not exist.

    Raises:
        CommandFailed: storage refused it.
        ServiceDown: the storage does not answer.
    """
    found = (_ENTRY.fullmatch(line.strip()) for line in _lines(storage, "-ls", folder))
    return [Entry(_name(one[3]), one[1] == "d", int(one[2])) for one in found if one]


def counted(storage: SharedStorage, folder: str) -> list[Count]:
    """Return the folders and files in a folder, each with all that is in it; errors as of `listed`."""
    found = (_COUNT.fullmatch(line) for line in _lines(storage, "-count", f"{folder}/*"))
    return [Count(_name(one[4]), int(one[1]), int(one[2]), int(one[3])) for one in found if one]


def drop_empty(storage: SharedStorage, folder: str) -> None:
    """Remove a folder with nothing in it; others stay, and one that does not exist is no failure.

    Raises:
        CommandFailed: storage refused it.
        ServiceDown: the storage does not answer.
    """
    words = f"dfs -rmdir --ignore-fail-on-non-empty {storage.quoted(folder)}"
    result = storage.run(f"{storage.command(words)} </dev/null")
    if not result.ok and not storage.missing(folder, result):
        storage.explain(folder, result)


def _lines(storage: SharedStorage, verb: str, path: str) -> list[str]:
    result = storage.run(f"{storage.command(f'dfs {verb} {storage.quoted(path)}')} </dev/null")
    if not result.ok:
        if storage.missing(path, result):
            return []
        storage.explain(path, result)
    return result.stdout.splitlines()


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
