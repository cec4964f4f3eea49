"""Base of operations: fields of one key in role.yaml, and the scripts that they yield."""

from __future__ import annotations

from abc import ABC, abstractmethod

from bootstrap.engine.operations.shell import Scripts
from bootstrap.model import Model


class Operation(Model, ABC):
    """One operation of a step, as role.yaml gives it."""

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
