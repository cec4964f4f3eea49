"""LMDBs with one column of a source each, as one record source."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Optional, Tuple

from jobs.trainer.errors import Refused
from jobs.trainer.sources.lmdb import Lmdb


class ParallelLmdbs:
    """Databases with the same keys, in the folders 0, 1, … of `path`.

    Raises:
        Refused: there is none, or they have not as many records.
    """

    marker = "0/data.mdb"

    def __init__(self, path: Path, datum: Any) -> None:  # noqa: ANN401 - generated classes have no types
        folders = sorted(path.iterdir(), key=lambda folder: int(folder.name)) if path.is_dir() else []
        if not folders:
            raise Refused("lmdb-missing", path=str(path))
        with ExitStack() as opened:
            self._databases = [opened.enter_context(closing(Lmdb(folder, datum))) for folder in folders]
            counts = sorted({len(database) for database in self._databases})
            if len(counts) > 1:
                reason = "its columns have {} records".format(" and ".join(map(str, counts)))
                raise Refused("lmdb-unreadable", path=str(path), reason=reason)
            opened.pop_all()
        self.paths: Tuple[Path, ...] = tuple(folders)

    def __len__(self) -> int:
        return len(self._databases[0])

    def ends(self) -> Tuple[str, str]:
        """Return the ids of the first and the last record."""
        return self._databases[0].ends()

    def shape(self) -> Optional[Tuple[int, int, int]]:
        """Return None: each column has a shape of its own, which the conversion has checked."""
        return None

    def close(self) -> None:
        """Unmap the databases."""
        for database in self._databases:
            database.close()
