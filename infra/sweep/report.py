"""Report of `fab sweep`: leftover resources with their cost, and the commands that delete them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from bootstrap.console import print_line, print_whole
from infra.sweep.leak import Leak, Unsearched, commands
from infra.tags import PROJECT, PROJECT_TAG, STACK_TAG


@dataclass(frozen=True)
class SweepResult:
    """Result of a sweep: leftovers, resources in use by existing stacks, and what could not be searched.

    `where` describes what was searched. `kept` resources outlive stacks on purpose.
    """

    where: str
    regions: tuple[str, ...]
    stack: str | None
    leaks: tuple[Leak, ...]
    in_use: tuple[Leak, ...]
    unsearched: tuple[Unsearched, ...]
    kept: tuple[Leak, ...] = ()
    first: tuple[str, ...] = ()
    """Commands to run before any that deletes something."""

    @property
    def clean(self) -> bool:
        """True if nothing is left and everything was searched."""
        return not self.leaks and not self.unsearched


def print_report(found: SweepResult, console: Console) -> None:
    """Print the report."""
    if found.leaks:
        print_whole(_table(found.leaks), console)
    for line in _lines(found):
        print_line(console, line)


def total(leaks: Iterable[Leak]) -> str:
    """Sum up the monthly cost, and count resources without a price, which make the sum a minimum."""
    prices = [leak.usd_month for leak in leaks]
    known = sum((price for price in prices if price is not None), Decimal(0))
    unknown = prices.count(None)
    if not unknown:
        return f"{known:,.2f} USD a month"
    least = f"at least {known:,.2f} USD a month, " if known else ""
    return f"{least}{unknown} without a price"


def counted(count: int, what: str) -> str:
    """Format a count: `1 region`, `2 regions`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _table(leaks: Iterable[Leak]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("region", "kind", "id", "name", "stack"):
        shown.add_column(name, overflow="fold")
    shown.add_column("USD/month", justify="right", no_wrap=True)
    for leak in leaks:
        price = "?" if leak.usd_month is None else f"{leak.usd_month:,.2f}"
        name = "" if leak.name == leak.id else leak.name
        shown.add_row(leak.region, leak.kind, leak.id, name, leak.stack or "?", price)
    return shown


def _lines(found: SweepResult) -> Iterator[str]:
    for what, leaks in (("in use by stack", found.in_use), ("kept by storage stack", found.kept)):
        for stack in dict.fromkeys(leak.stack for leak in leaks):
            own = [leak for leak in leaks if leak.stack == stack]
            yield f"{what} {stack}: {total(own)} for {counted(len(own), 'thing')}"
    for region, why in dict.fromkeys((gap.region, gap.why) for gap in found.unsearched):
        kinds = [gap.kind for gap in found.unsearched if (gap.region, gap.why) == (region, why)]
        yield f"not searched: {region}: {', '.join(kinds)}: {why}"
    tag = f"{PROJECT_TAG}={PROJECT}" + (f", {STACK_TAG}={found.stack}" if found.stack else "")
    if found.leaks:
        yield f"{len(found.leaks)} left ({tag}), {total(found.leaks)}. To delete them, in this order:"
        yield from commands(found.leaks, found.first)
    elif found.unsearched:
        yield f"Nothing was found ({tag}), but not everything was searched."
    else:
        yield f"0 left ({tag}) in {found.where}"
