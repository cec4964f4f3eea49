"""Guarded commands: what a role compiles to, and what execution and rendering both read."""

from __future__ import annotations

from dataclasses import dataclass, field

from bootstrap.engine.spelling import spellings

Needs = tuple[str, str]
"""(role, step name): the head's step that must be done before this command starts on another node."""


@dataclass(frozen=True)
class Command:
    """One step of one role on one node, as two POSIX shell scripts run by root.

    `guard` exits with 0 when the node is in the desired state, quickly and without side effects.
    `run` brings it there; afterwards `guard` must hold. Both read nothing from stdin.
    """

    role: str
    name: str
    guard: str
    run: str
    timeout: float = 900.0
    """Seconds until the step counts as failed."""
    needs: Needs | None = None
    installs: bool = False
    """True if it installs packages, which other programs cannot do at the same time."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values to print as `***` wherever the command or its output is shown."""

    def masked(self, text: str) -> str:
        """Return `text` with this command's secrets replaced, in each of their spellings."""
        for secret in self.secrets:
            for spelling in spellings(secret):
                text = text.replace(spelling, "***")
        return text


@dataclass(frozen=True)
class Check:
    """Health check of a role's service: exits with 0, or prints the fault; `fix` is the command to type."""

    role: str
    name: str
    run: str
    fix: str
