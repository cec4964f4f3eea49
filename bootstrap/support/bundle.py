"""Archive of a support bundle: texts, each masked and limited in size, and what could not be read."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bootstrap.aside import replacing
from bootstrap.errors import CaffeSparkError
from bootstrap.support.masking import Masking

PER_FILE: Final = 512 << 10
"""Bytes of a file; of more, the end is kept."""
IN_ALL: Final = 32 << 20
"""Bytes of all files together; later ones are left out, and named."""
MISSING: Final = "MISSING.txt"
"""List of the parts that could not be read, with the reasons."""
CONTENTS: Final = "CONTENTS.txt"


class Entry(NamedTuple):
    """A file of the bundle; `cut` where only its end is kept."""

    name: str
    size: int
    cut: bool


class Bundle:
    """Contents of a bundle, masked as they are added; threads add in turn."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._files: dict[str, bytes] = {}
        self._cut: set[str] = set()
        self._missing: list[str] = []

    @property
    def entries(self) -> list[Entry]:
        """The files, in the order of their names."""
        return [Entry(name, len(data), name in self._cut) for name, data in sorted(self._files.items())]

    @property
    def missing(self) -> tuple[str, ...]:
        """A line for each part that is not there."""
        return tuple(self._missing)

    def add(self, name: str, text: str, *, limit: int = PER_FILE) -> None:
        """Add a text; of a longer one than `limit` bytes, its end.

        It is masked before it is cut: half a secret would not be recognized.
        """
        data = self._masking.text(text).encode(errors="replace")
        cut = len(data) > limit
        if cut:
            # Whole lines only: the first one begins anywhere.
            end = data[-limit:]
            data = end[end.find(b"\n") + 1 :]
        if sum(map(len, self._files.values())) + len(data) > IN_ALL:
            self.lack(name, f"the bundle holds no more than {IN_ALL >> 20} MiB")
            return
        self._files[name] = data
        if cut:
            self._cut.add(name)

    def add_file(self, name: str, path: Path, *, limit: int = PER_FILE) -> None:
        """Add the end of a file of this machine."""
        try:
            with path.open("rb") as file:
                # More than is kept, so that a secret at the cut is whole before it is masked.
                begin = max(0, path.stat().st_size - 2 * limit)
                file.seek(begin)
                data = file.read(2 * limit)
        except OSError as error:
            self.lack(name, error.strerror or str(error))
            return
        self.add(
            name, (data[data.find(b"\n") + 1 :] if begin else data).decode(errors="replace"), limit=limit
        )

    def lack(self, what: str, why: str) -> None:
        """Note that a part could not be read."""
        self._missing.append(self._masking.text(f"{what}: {' '.join(why.split())}"))

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Note an expected failure of a block as a missing part."""
        try:
            yield
        except CaffeSparkError as error:
            self.lack(what, str(error))

    def collect(self, name: str, read: Callable[[], str]) -> None:
        """Add what `read` returns, or note why it could not."""
        with self.part(name):
            self.add(name, read())

    def write(self, path: Path) -> None:
        """Write the archive, readable for its owner only, with a list of its files and of missing parts."""
        folder = path.name.removesuffix(".tar.gz")
        lists = {
            CONTENTS: "".join(
                f"{entry.size:>9} {entry.name}{' (its end)' if entry.cut else ''}\n" for entry in self.entries
            ),
            MISSING: "".join(f"{line}\n" for line in self._missing) or "nothing\n",
        }
        with replacing(path) as new:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
                for name, data in [
                    *((n, t.encode()) for n, t in lists.items()),
                    *sorted(self._files.items()),
                ]:
                    info = tarfile.TarInfo(f"{folder}/{name}")
                    info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
                    archive.addfile(info, io.BytesIO(data))
