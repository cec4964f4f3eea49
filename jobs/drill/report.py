"""Report of a drill for the terminal, and its files in the job's results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from jobs.drill import picture, timeline
from jobs.drill.record import Record
from jobs.drill.timeline import Facts
from jobs.drill.verdict import Verdict

_MARKS = {True: "ok", False: "FAILED", None: "-"}


def moments_table(record: Record) -> Table:
    """Return the timeline, in seconds since the interruption began."""
    found = timeline.moments(record)
    start = picture.zero(found, ())
    table = Table(title="timeline", title_justify="left", box=None)
    table.add_column("seconds", justify="right")
    table.add_column("node")
    table.add_column("")
    for moment in found:
        table.add_row(f"{moment.time - start:+.1f}", moment.where, moment.text)
    return table


def verdict_table(facts: Facts, judged: Verdict) -> Table:
    """Return the figures and conditions of a verdict."""
    table = Table(title=f"verdict of drill {facts.job}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    lost = judged.lost_iterations
    rows = {
        "interruption": _interruption(facts),
        "notice to trainer": _seconds(judged.heard_s),
        "notice to snapshot": _seconds(judged.snapshot_s),
        "iterations lost": "" if lost is None else f"{lost}",
        "loss to training": _seconds(judged.again_s),
        "loss to full strength": _seconds(judged.full_s) or "not before the job ended",
        "accuracy": _percent(judged.accuracy),
        "undisturbed": f"{_percent(judged.baseline)}  {facts.baseline}".strip(),
        "cost": "0 (this machine)",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    for check in judged.checks:
        table.add_row(f"{_MARKS[check.held]}: {check.name}", check.found)
    return table


def write(folder: Path, facts: Facts, record: Record, judged: Verdict, say: Callable[[str], None]) -> None:
    """Write timeline.json and timeline.svg, and tell where they are."""
    written = timeline.write(folder, facts, record, judged)
    title = f"{facts.job}: {_interruption(facts)}, {facts.executors} executors, simulated cloud"
    drawn = picture.draw(
        folder / picture.FILE, title, timeline.moments(record), timeline.rates(record.events)
    )
    say(f"timeline {written}")
    say(f"picture  {drawn}")


def _interruption(facts: Facts) -> str:
    plan, nodes = facts.plan, ", ".join(facts.nodes) or "no node"
    how = {
        "notice": f"taken {plan.notice_s:g} s after a notice",
        "no-notice": "taken without a notice",
        "partition": f"cut off for {plan.heal_s:g} s",
    }[plan.kind]
    return f"{nodes} {how}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"
