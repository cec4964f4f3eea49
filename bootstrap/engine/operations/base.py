"""Base of operations: fields of one key in role.yaml, and the scripts that they yield."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict

from bootstrap.engine.operations.shell import Scripts


class Operation(BaseModel, ABC):
    """One operation of a step, as role.yaml gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def template_file(self) -> str | None:
        """Name of the role's template whose text `scripts` takes; None: the operation has none."""
        return None

    @abstractmethod
    def scripts(self, text: str | None = None) -> Scripts:
        """Return guard and script; all variables are filled, and `text` is the filled template.

        Raises:
            ConfigError: the operation cannot take a value.
        """
