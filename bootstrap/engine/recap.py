"""Output of a run: a live line per node, then a recap like Ansible's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bootstrap.engine.command import Command
from bootstrap.engine.operations.shell import summary

Outcome = Literal["ok", "changed", "failed", "skipped"]
_STYLE = {"ok": "green", "changed": "yellow", "failed": "bold red", "skipped": "cyan"}


@dataclass
class NodeRecap:
    """Step counts of one node by outcome; in a dry run `changed` counts those that would change."""

    node: str
    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Recap:
    """Recap of a run, nodes in the cluster's order; `seconds` is wall time."""

    nodes: tuple[NodeRecap, ...]
    seconds: float
    dry_run: bool = False

    @property
    def changed(self) -> int:
        """Number of steps that changed something, over all nodes."""
        return sum(node.changed for node in self.nodes)

    @property
    def failed(self) -> int:
        """Number of steps that failed, over all nodes."""
        return sum(node.failed for node in self.nodes)

    def table(self) -> Table:
        """Return a table with a row per node."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("node")
        for name in ("ok", "would change" if self.dry_run else "changed", "failed", "skipped", "seconds"):
            table.add_column(name, justify="right")
        for node in self.nodes:
            counts = (
                ("ok", node.ok),
                ("changed", node.changed),
                ("failed", node.failed),
                ("skipped", node.skipped),
            )
            cells = [Text(str(count), style=_STYLE[name] if count else "dim") for name, count in counts]
            table.add_row(node.node, *cells, f"{node.seconds:.1f}")
        return table


@dataclass
class _Line:
    """Current activity of a node."""

    total: int
    number: int = 0
    text: str = "connecting"
    since: float = field(default_factory=time.monotonic)
    over: bool = False


class Progress:
    """Progress of steps: live on a terminal, else a plain line per changed or failed step.

    Thread-safe.
    """

    def __init__(self, console: Console, nodes: Sequence[str]) -> None:
        self._console = console
        self._lines = {node: _Line(total=0) for node in nodes}
        self._lock = threading.Lock()
        self._width = max(map(len, nodes))
        self._live = (
            Live(self, console=console, refresh_per_second=5, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        with self._lock:
            for node, line in self._lines.items():
                step = f"{line.number}/{line.total}" if line.total else ""
                seconds = "" if line.over else f"{now - line.since:.0f} s"
                text = Text(line.text, style="dim" if line.over else "", overflow="ellipsis", no_wrap=True)
                table.add_row(
                    Text(node, style="bold"), Text(step, style="cyan"), text, Text(seconds, style="dim")
                )
        return table

    def say(self, node: str, text: str, *, number: int = 0, total: int = 0, over: bool = False) -> None:
        """Set the text of a node's line; `number` is the step's, from 1."""
        with self._lock:
            self._lines[node] = _Line(total, number, text, over=over)

    def ended(self, node: str, command: Command, outcome: Outcome, seconds: float) -> None:
        """Print the end of a step, unless it was ok."""
        if outcome != "ok":
            self._print(
                Text.assemble(
                    (f"{node:<{self._width}}  "),
                    (f"{outcome:<8}", _STYLE[outcome]),
                    f"{command.role}: {command.name} ",
                    (f"({seconds:.1f} s)", "dim"),
                )
            )

    def failed(self, node: str, title: str, command: str, tail: Iterable[str], footer: str) -> None:
        """Print a failed step: its title, its command, its last lines, and the next command to type."""
        block = Text.assemble((f"{node}: {title}\n", _STYLE["failed"]))
        if command:
            block.append(f"  command: {command}\n", "dim")
        for line in tail:
            block.append(f"  │ {line}\n")
        block.append(f"  {footer}")
        self._print(block)

    def would_change(self, node: str, commands: Iterable[Command]) -> None:
        """Print the plan of one node, for a dry run."""
        for command in commands:
            line = Text.assemble(
                (f"{node:<{self._width}}  "),
                ("would run ", _STYLE["changed"]),
                f"{command.role}: {command.name}",
            )
            line.append(f"  {summary(command.masked(command.run))}", "dim")
            self._print(line)

    def _print(self, text: Text) -> None:
        with self._lock:
            # soft_wrap: paths and messages stay whole where a program reads the output.
            self._console.print(text, soft_wrap=True, highlight=False)
