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
class Authentication(Generic[Cloud]):
    """Result of authentication: the cloud's clients, or `why` the cloud cannot be asked."""

    findings: Sequence[Finding]
    cloud: Cloud | None
    why: str = ""


def run(
    authenticate: Callable[[], Authentication[Cloud]],
    cloud_checks: Sequence[CloudCheck[Cloud]],
    local_checks: Sequence[LocalCheck],
    *,
    console: Console,
    status: str,
) -> list[Finding]:
    """Run all checks and print their findings in order.

    A check that cannot run (no credentials, no permission, no network) is skipped; the others still run.
    """
    with console.status(status), ThreadPoolExecutor(AT_ONCE) as pool:
        local = [pool.submit(check.ask) for check in local_checks]
        known = authenticate()
        cloud = known.cloud
        if cloud is None:
            remote = [finding for check in cloud_checks for finding in check.without(known.why)]
        else:
            asked = [pool.submit(check.ask, cloud) for check in cloud_checks]
            remote = [finding for future in asked for finding in future.result()]
        findings = [*known.findings, *remote, *(finding for future in local for finding in future.result())]
    show(findings, console)
    return findings
