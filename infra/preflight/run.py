"""All checks of a preflight, side by side: first who is asking, then everything that this lets us ask."""

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
    """What is known of who asks; then whom to ask further, or `why` nobody can be."""

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
    """Ask the cloud and this machine, and print each answer, in the order of the checks.

    What cannot be asked (no credentials, no right, no network) is said, and the rest is asked all the same.
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
