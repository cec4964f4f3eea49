"""Receipts of jobs: what the cluster's prices and its cloud tell of a job that has ended, and its files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from bootstrap.cluster import AutoScalingGroup, ClusterDocument
from bootstrap.cluster.prices import NodePrice, Prices
from bootstrap.console import print_line
from bootstrap.errors import CaffeSparkError
from bootstrap.inventory.account import account, when
from bootstrap.inventory.machines import Machine, SpotPrices, machines, one_of, spot_prices
from jobs.backends.base import Backend
from jobs.job import SubmittedJob
from jobs.report.charges import Bill, expected, receipt
from jobs.report.history import History
from jobs.report.receipt import Estimate, Receipt
from jobs.report.receipt_text import lines, table
from jobs.spec import JobSpec
from jobs.trainer import contract

FILE: Final = "receipt.json"
"""File of the receipt among the results of a job that did not succeed, which has no summary."""
SUMMARY: Final = "summary.json"
AHEAD: Final = "the clock that told the submission is ahead of the cluster's: the first event's time counts"
STOPPED: Final = "stopped"
"""Failure code, and outcome, of a job that was asked to end with a snapshot."""
_BILLED: Final = (
    contract.Phase,
    contract.Executors,
    contract.RankStarted,
    contract.Training,
    contract.Progress,
    contract.Display,
    contract.Interruption,
    contract.WorkersLost,
    contract.Recovery,
    contract.Failed,
    contract.Done,
)
"""Events that a receipt is made of."""


def bill(document: ClusterDocument, begin: float, end: float) -> Bill:
    """Return what the cluster's document and its cloud tell of a job's cost.

    A cloud that cannot be asked changes only how exact the figures are: a note says so.
    """
    prices, notes = document.prices, list[str]()
    known: dict[str, list[Machine]] = {}
    spot: SpotPrices = {}
    group = document.members
    if prices is None:
        prices = _none()
        notes.append(f"the stack has no prices: `pulumi up --stack {document.stack}` adds them")
    elif isinstance(group, AutoScalingGroup):
        try:
            known = machines(document, group)
            pools = [
                (one.type, one.zone)
                for some in known.values()
                for one in some
                if one.market == "spot" and one.zone and one_of([one], begin, end)
            ]
            spot = spot_prices(group, pools, begin, end)
            notes += _fallback(document, group, begin, end)
        except CaffeSparkError as error:
            notes.append(f"prices are the stack's, of its last `pulumi up`: AWS was not asked ({error.why})")
    return Bill(
        prices=prices,
        workers=document.worker_count,
        machines=known,
        spot=spot,
        names={node.address: node.name for node in document.nodes},
        notes=tuple(notes),
    )


def _fallback(document: ClusterDocument, group: AutoScalingGroup, begin: float, end: float) -> list[str]:
    """Return the note about workers that came on demand in place of spot workers; none without them."""
    found = account(document, group) if group.fallback_seconds else None
    if found is None or not found.fell_back or found.fell_back > end or 0 < found.returned < begin:
        return []
    until = f"to {when(found.returned)}" if found.returned else "on"
    return [
        f"from {when(found.fell_back)} {until} AWS had too little spot capacity: missing workers came on "
        "demand (fallbackAfter)"
    ]


def of_job(
    document: ClusterDocument,
    job: SubmittedJob,
    history: History,
    *,
    outcome: str,
    results: Path,
    end: float | None = None,
) -> Receipt:
    """Return the receipt of a job that has ended; at `end`, if that is not its last event's time.

    Submission, and `end`, are this machine's times, events the cluster's: what contradicts an event is not
    believed.
    """
    times = [event.time for event in history.events if event.time]
    begin = job.submitted or min(times, default=time.time())
    ahead = bool(times) and begin > times[0]
    begin = times[0] if ahead else begin
    end = max(begin, end or 0.0, history.end)
    found = bill(document, begin, end)
    if ahead:
        found = replace(found, notes=(*found.notes, AHEAD))
    return receipt(
        history,
        found,
        begin=begin,
        end=end,
        outcome=outcome,
        estimate=estimate(found.prices, job.spec, results, before=begin),
        like=likeness(job.spec),
    )


def estimate(prices: Prices | None, spec: JobSpec, results: Path, before: float = 0.0) -> Estimate | None:
    """Return the cost of a job at current prices by the newest job like it, if one has ended here.

    That is a job of the same specification, which has succeeded; with `before`, one that began earlier than
    that. A job that resumes does a part of the work, which no other tells.
    """
    if prices is None or prices.free or spec.snapshot:
        return None
    alike = [
        (began, wall, hours, job)
        for job, began, wall, hours in _earlier(results, likeness(spec))
        if not before or began < before
    ]
    if not alike:
        return None
    _, wall, hours, job = max(alike)
    return expected(prices, wall, hours, job)


def show(console: Console, done: Receipt) -> None:
    """Print the receipt of a job that has succeeded."""
    if not done.free:
        console.print(table(done))
    for line in lines(done):
        print_line(console, line)


def unsuccessful(
    document: ClusterDocument,
    job: SubmittedJob,
    history: History,
    *,
    outcome: str,
    results: Path,
    end: float | None = None,
) -> list[str]:
    """Write the receipt of a job that did not succeed; return its lines for the terminal."""
    failed = history.last(contract.Failed)
    if failed is not None and failed.code == STOPPED:
        outcome = STOPPED
    paid = of_job(document, job, history, outcome=outcome, results=results, end=end)
    file = results / job.id / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(paid.document(), indent=2) + "\n")
    return [*lines(paid), f"receipt  {file}"]


def killed(backend: Backend, job: SubmittedJob, results: Path, *, ran: bool = True) -> list[str]:
    """Write the receipt of a job that was killed, from its events; return its lines.

    It ends now if it `ran` until then, else with its last event.
    """
    history = History()
    try:
        backend.events(job, _BILLED, history.add_line)
    except CaffeSparkError as error:
        return [f"cost     unknown: the job's events cannot be read ({error.why})"]
    end = time.time() if ran else None
    return unsuccessful(backend.document, job, history, outcome="killed", results=results, end=end)


def _none() -> Prices:
    """Return the prices of a stack whose document has none."""
    return Prices(
        nodes=(NodePrice(role="head", type="the head"), NodePrice(role="worker", type="the workers")),
        source="none",
    )


def likeness(spec: JobSpec) -> str:
    """Return a digest that jobs share whose specifications, and the files that these name, are the same."""
    files = [_content(file) for file in (spec.solver, spec.net, *((spec.script,) if spec.script else ()))]
    asked = spec.model_dump(mode="json", exclude={"solver", "net", "files", "script", "output", "model"})
    text = json.dumps([files, asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _content(file: Path) -> str:
    """Return a file's digest; of one that is not here (any more), its path."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(file)


def _earlier(results: Path, like: str) -> Iterator[tuple[str, float, float, float]]:
    """Yield id, beginning, seconds and worker hours of jobs here that did this work.

    Files may be of another version, or of others: those that do not fit are skipped.
    """
    for file in results.glob(f"*/{SUMMARY}"):
        try:
            summary = json.loads(file.read_text())
            paid = summary["receipt"]
            if paid["like"] != like:
                continue
            workers = [float(node["hours"]) for node in paid["nodes"] if node["role"] == "worker"]
            yield str(summary["job"]), float(paid["begin"]), float(paid["wall_seconds"]), sum(workers)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            continue
