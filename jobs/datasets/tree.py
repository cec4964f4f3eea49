"""Files and folders of a user's data, in the order of their names.

Names that begin with `.` or `_` are left out, as Spark does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bootstrap.errors import ConfigError


def files(folder: Path) -> list[Path]:
    """Return the files of a folder.

    Raises:
        ConfigError: there is a link to a folder, or what is neither file nor folder.
    """
    return [entry for entry in _entries(folder) if entry.is_file()]


def folders(folder: Path) -> list[Path]:
    """Return the folders of a folder.

    Raises:
        ConfigError: there is a link to a folder, or what is neither file nor folder.
    """
    return [entry for entry in _entries(folder) if entry.is_dir()]


def below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder.

    Raises:
        ConfigError: there is a link to a folder, or what is neither file nor folder.
    """
    yield from files(folder)
    for part in folders(folder):
        yield from below(part)


def _entries(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir() and entry.is_symlink():
            # Its files may be others of this folder, hence twice in the set.
            raise ConfigError(
                str(entry), "it is a link to a folder", "Move or copy that folder to its place."
            )
        if not (entry.is_file() or entry.is_dir()):
            why = "it is a link to nothing" if entry.is_symlink() else "it is neither a file nor a folder"
            raise ConfigError(str(entry), why, "Remove it.")
        yield entry
