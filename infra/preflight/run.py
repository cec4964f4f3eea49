"""Preflight run: authenticates, then runs all checks in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic

from infra.preflight.finding import Cloud, CloudCheck, Finding, LocalCheck, show

if TYPE_CHECKING:
    from rich.console import Console

AT_ONCE: Final = 8


@dataclass(frozen=True)
class Introduced(Generic[Cloud]):
    """Result of authentication: the cloud's clients, or `why` the cloud cannot be asked."""

    findings: Sequence[Finding]
    cloud: Cloud | None
    why: str = ""


def run(
    who: Callable[[], Introduced[Cloud]],
    there: Sequence[CloudCheck[Cloud]],
    here: Sequence[LocalCheck],
    *,
    console: Console,
    doing: str,
) -> list[Finding]:
    """Run all checks and print their findings in order.

    A check that cannot run (no credentials, no permission, no network) is skipped; the others still run.
    """
    with console.status(doing), ThreadPoolExecutor(AT_ONCE) as pool:
        local = [pool.submit(one.ask) for one in here]
        known = who()
        cloud = known.cloud
        if cloud is None:
            cloudy = [finding for one in there for finding in one.without(known.why)]
        else:
            asked = [pool.submit(one.ask, cloud) for one in there]
            cloudy = [finding for future in asked for finding in future.result()]
        findings = [*known.findings, *cloudy, *(finding for future in local for finding in future.result())]
    show(findings, console)
    return findings
