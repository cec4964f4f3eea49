"""A recipe's section for one distribution: packages, Python, and libraries built from source."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from bootstrap.model import Model

SourceKind = Literal["debian", "git"]
Device = Literal["cpu", "cuda"]

_PLACE = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_FLAG = re.compile(r"\w+")


class GitCommit(Model):
    """A commit, whose full name is the hash of its content."""

    repo: str
    rev: str = Field(pattern=r"^[0-9a-f]{40}$")


class FromSource(Model):
    """A library that the distribution lacks: a tarball or a commit, and the commands that install it.

    They run in one shell, in the source's `folder`. `$PREFIX` is the folder to install to, `$PYTHON` the
    distribution's Python, `$JOBS` the number of parallel jobs.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    licence: str
    """For people, e.g. `BSL-1.0`: what the artefact carries has terms of its own."""
    licence_file: str | None = None
    """In the source; it goes where the library goes. None: the source has none, `licence` says it all."""
    url: str | None = Field(default=None, pattern=r"^(https|http|file)://[^\s'\"]+$")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    git: GitCommit | None = None
    folder: str = "."
    commands: list[str] = Field(min_length=1)
    creates: str
    """Below `$PREFIX`, there once the commands have done their work."""
    core_seconds: int = Field(ge=1)
    """Seconds that it takes on one core."""

    @field_validator("licence_file", "folder", "creates")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        if path is not None and (not _PLACE.fullmatch(path) or ".." in path.split("/")):
            raise ValueError(f"{path!r} is not a valid relative path of plain words")
        return path

    @model_validator(mode="after")
    def _one_source(self) -> FromSource:
        if (self.url is None) == (self.git is None):
            raise ValueError("give exactly one of url, git")
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("url and sha256 belong together")
        return self


class Distribution(Model):
    """Packages on one distribution; each item may hold several names. `run` adds to what the build finds."""

    build: list[str] = Field(min_length=1)
    opencv: list[str] = Field(default=[])
    run: list[str] = Field(default=[])
    source: SourceKind | None = None
    """Replaces the recipe's, where its source is not available."""
    python: str | None = Field(default=None, pattern=r"^(/[A-Za-z0-9_.-]+)+$")
    """The Python that compiles, tests and runs, where that is not the distribution's own python3."""
    devices: list[Device] = Field(default=["cpu", "cuda"], min_length=1)
    """Devices that can be compiled for there."""
    patches: list[str] | None = None
    """Replaces the recipe's."""
    cmake: dict[str, str | bool] = Field(default={})
    """Merged over the recipe's."""
    wheels: str | None = None
    """A requirements file with sums: Python packages that the artefact carries. Relative to the recipe."""
    from_source: list[FromSource] = Field(default=[])
    """In this order; a later one may use what an earlier one has installed."""

    @field_validator("cmake")
    @classmethod
    def _plain_flags(cls, flags: dict[str, str | bool]) -> dict[str, str | bool]:
        return plain_flags(flags)

    @model_validator(mode="after")
    def _each_once(self) -> Distribution:
        names = [entry.name for entry in self.from_source]
        if len(set(names)) != len(names):
            raise ValueError(f"from_source: a name is there twice among {', '.join(names)}")
        return self

    @property
    def carries(self) -> bool:
        """True when the artefact contains more than Caffe, so that packing has more to collect."""
        return bool(self.python or self.wheels or self.from_source)

    @property
    def interpreter(self) -> str:
        """The Python to run on the head."""
        return self.python or "python3"


def plain_flags(flags: dict[str, str | bool]) -> dict[str, str | bool]:
    """Return CMake's variables, if all of them may be set.

    Raises:
        ValueError: a name is not a valid CMake variable, or a setting of the recipe decides it.
    """
    for name in flags:
        if not _FLAG.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid CMake variable")
        if name == "USE_OPENCV":
            raise ValueError("USE_OPENCV follows from the setting `opencv`; write that instead")
    return flags
