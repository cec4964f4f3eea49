"""Command operation: a command with a guard."""

from __future__ import annotations

from pydantic import model_validator

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, comment, quote


class Shell(Operation):
    """A command with a guard: a file it `creates`, or a test `unless`."""

    run: str
    creates: str | None = None
    unless: str | None = None

    @model_validator(mode="after")
    def _one_guard(self) -> Shell:
        if (self.creates is None) == (self.unless is None):
            raise ValueError("give exactly one of creates, unless")
        return self

    def scripts(self, text: str | None = None) -> Scripts:
        """Run the command unless its file exists, or its test succeeds."""
        guard = f"[ -e {quote(self.creates)} ]" if self.creates is not None else str(self.unless)
        return Scripts(guard, f"{comment(self.run)}\n{self.run}")
