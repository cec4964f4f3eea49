"""Guarded commands: what a role compiles to, and what execution and rendering both read."""

from __future__ import annotations

from dataclasses import dataclass, field

Needs = tuple[str, str]
"""(role, step name) on the head that has to be done before this command starts on another node."""


@dataclass(frozen=True)
class Command:
    """One step of one role on one node, as two POSIX shell scripts run by root.

    `guard` ends with 0 when the node is already as the step wants it, quickly and without side effects.
    `run` brings it there; afterwards `guard` must hold. Both read nothing from stdin.
    """

    role: str
    name: str
    guard: str
    run: str
    timeout: float = 900.0
    """Seconds until the step counts as failed."""
    needs: Needs | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values to print as `***` wherever the command or its output is shown."""

    def masked(self, text: str) -> str:
        """`text` with this command's secrets replaced."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


@dataclass(frozen=True)
class Check:
    """A role's proof that its service works: ends with 0, or says what is wrong and how to mend it."""

    role: str
    name: str
    run: str
    fix: str
