"""A command behind a guard: a file that it creates, or a test."""

from __future__ import annotations

from bootstrap.engine.operations.shell import Scripts, comment, quote
from bootstrap.engine.role import Shell


def scripts(spec: Shell) -> Scripts:
    """Run the command unless its file exists, or its test succeeds."""
    guard = f"[ -e {quote(spec.creates)} ]" if spec.creates is not None else str(spec.unless)
    return Scripts(guard, f"{comment(spec.run)}\n{spec.run}")
