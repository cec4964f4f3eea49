"""A sweep of subscriptions on loopback: what it returns, and what it prints."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from infra.azure.sweep.run import sweep
from infra.sweep.leak import Leak
from infra.sweep.report import SweepResult
from tests.infra.azure.account import account
from tests.offline import no_login

__all__ = ["account", "no_login"]


@dataclass(frozen=True)
class Swept:
    """A sweep's result and output."""

    found: SweepResult
    said: str

    @property
    def kinds(self) -> list[str]:
        return [leak.kind for leak in self.found.leaks]

    def the(self, kind: str) -> Leak:
        (one,) = [leak for leak in self.found.leaks if leak.kind == kind]
        return one


def swept(
    stack: str | None = None,
    regions: Sequence[str] | None = None,
    alive: Sequence[str] = (),
    storage: Sequence[str] = (),
    subscription: str | None = None,
) -> Swept:
    said = io.StringIO()
    found = sweep(
        stack,
        regions,
        Console(file=said, width=250),
        alive=alive,
        storage=storage,
        subscription_id=subscription,
    )
    return Swept(found, said.getvalue())
