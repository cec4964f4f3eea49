"""Findings of `fab doctor`: a table of checks by node, and a line with the command to type for each fault."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bootstrap import versions
from bootstrap.cluster import Cluster
from bootstrap.console import for_stack

MEASURED = ("disk", "memory", *versions.NAMES)
MANY = 6
"""Nodes that have a column each; of more, the workers share one."""
NAMED = 5
"""Nodes that a cell names."""
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Finding:
    """Result of one check on one node, with the detail seen and the command to type where it failed."""

    node: str
    name: str
    ok: bool
    detail: str
    fix: str


def print_findings(findings: Sequence[Finding], cluster: Cluster, console: Console) -> None:
    """Print a table of checks by node, then one line per failure."""
    nodes = [node.name for node in cluster.nodes]
    columns = {name: [name] for name in nodes}
    if len(nodes) > MANY:
        columns = {nodes[0]: nodes[:1], f"{len(nodes) - 1} workers": nodes[1:]}
    by_place = {(finding.name, finding.node): finding for finding in findings}
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("check")
    for title in columns:
        table.add_column(title)
    for name in sorted(dict.fromkeys(finding.name for finding in findings), key=_rank):
        cells = [[by_place[name, node] for node in of if (name, node) in by_place] for of in columns.values()]
        table.add_row(name, *map(_cell, cells))
    console.print(table)
    # The same fault on several nodes is one line.
    failures: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        if not finding.ok:
            failures.setdefault((finding.name, finding.detail, finding.fix), []).append(finding.node)
    for (name, detail, fix), where in failures.items():
        # A stack that is not the selected one: the commands name it.
        next_ = for_stack(fix, cluster.stack)
        line = Text.assemble((f"{', '.join(where)}: {name}: ", "bold red"), f"{detail.rstrip('.')}. {next_}")
        console.print(line, soft_wrap=True, highlight=False)
    if not failures:
        console.print(
            f"All {len(findings)} checks on {len(nodes)} nodes hold.", style="green", highlight=False
        )


def _rank(name: str) -> int:
    """Return the order of a row: the node itself, its peers, then the roles' checks in their order."""
    if name in ("SSH", "clock", *MEASURED):
        return 0
    return 1 if name.startswith("ports of ") else 2


def _cell(findings: Sequence[Finding]) -> Text:
    """Return the cell of one check on the nodes of a column."""
    if not findings:
        return Text("")
    failed = [finding.node for finding in findings if not finding.ok]
    if failed:
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        names = f" {', '.join(failed[:NAMED])}{more}" if len(findings) > 1 else ""
        return Text(f"✗{names}", style="bold red")
    if findings[0].name not in ("clock", *MEASURED):
        return Text("✓", style="green")
    details = sorted({finding.detail for finding in findings}, key=_measure)
    span = details[0] if len(details) == 1 else f"{details[0]} … {details[-1]}"
    return Text(f"✓ {span}", style="green")


def _measure(detail: str) -> list[float]:
    """Return the numbers in a detail: `3.5 GB free` comes before `12.0 GB free`."""
    return [float(number) for number in _NUMBER.findall(detail)]
