"""Operations that a step can have, one file each; to add one, write its file and add its line below."""

from __future__ import annotations

from pydantic import model_validator

from bootstrap.engine.operations.archive import Archive
from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.build import Build
from bootstrap.engine.operations.command import Shell
from bootstrap.engine.operations.debian_source import DebianSource
from bootstrap.engine.operations.directory import Directory
from bootstrap.engine.operations.file import File
from bootstrap.engine.operations.git import Git
from bootstrap.engine.operations.packages import Packages
from bootstrap.engine.operations.service import Service
from bootstrap.engine.operations.user import User
from bootstrap.model import Model

__all__ = ["Operation", "Operations"]


class Operations(Model):
    """Registry of operations by their key in role.yaml; a step gives exactly one of them."""

    packages: Packages | list[str] | None = None
    file: File | None = None
    directory: Directory | None = None
    user: User | None = None
    git: Git | None = None
    debian_source: DebianSource | None = None
    build: Build | None = None
    archive: Archive | None = None
    service: Service | None = None
    command: Shell | None = None

    @model_validator(mode="after")
    def _one_operation(self) -> Operations:
        given = self.operations()
        if len(given) != 1:
            raise ValueError(f"a step has exactly one operation, this one has {len(given)}")
        return self

    def operations(self) -> list[str]:
        """Return the keys of the operations that are given."""
        return [key for key in Operations.model_fields if getattr(self, key) is not None]

    @property
    def operation(self) -> Operation:
        """The operation of a valid step."""
        given: Operation | list[str] = getattr(self, self.operations()[0])
        # Packages alone may be written as their names.
        return Packages(install=given) if isinstance(given, list) else given
