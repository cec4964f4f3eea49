"""Sums of what a role downloads: `sha256` in its defaults.yaml, by file name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bootstrap.engine.operations.shell import SUM
from bootstrap.errors import ConfigError

KEY = "sha256"
"""The default that holds a role's sums; its strings and templates write `{{ sha256[file] }}`."""


class Sums(dict[str, str]):
    """Sums by file name; a file that is not listed is refused, so no version is installed without its sum."""

    def __init__(self, role: str, folder: Path, listed: object) -> None:
        """Check the sums that a role lists.

        Raises:
            ConfigError: it is not a mapping of file names to sums; the entry is named.
        """
        self._role, self._file = role, folder / "defaults.yaml"
        if not isinstance(listed, Mapping):
            raise ConfigError(
                f"role {role!r}, default {KEY!r}",
                "it is not a mapping of files to sums",
                f"Fix {self._file}.",
            )
        super().__init__({str(name): str(value) for name, value in listed.items()})
        for name, value in self.items():
            if not SUM.fullmatch(value):
                raise ConfigError(
                    f"role {role!r}, default {KEY!r}, {name}: {value!r}",
                    "it is not 64 hexadecimal digits",
                    f"Fix {self._file}.",
                )

    def __missing__(self, name: str) -> str:
        raise ConfigError(
            f"role {self._role!r}, {name}",
            f"its sum is not pinned; pinned are {', '.join(sorted(self)) or 'none'}",
            f"Add the sha256 of a copy that you have verified to `{KEY}` in {self._file}, "
            "or set a version that is pinned.",
        )
