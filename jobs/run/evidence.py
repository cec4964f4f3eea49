"""Evidence of a job for a bug report: its record, its events, and the ends of its logs."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Final

from bootstrap.console import page_of
from bootstrap.errors import CaffeSparkError
from bootstrap.support.bundle import Bundle
from jobs.backends.base import Backend
from jobs.backends.registry import Backends
from jobs.job import JobRecord, is_job_id
from jobs.run.status import table
from jobs.trainer.contract import EVENTS, Progress

KEPT_LINES: Final = 4000
"""Last lines of a log, and of the events."""
EXECUTORS: Final = 8
"""Executors whose logs are taken."""
KEPT_RESULTS: Final = ("summary.json", "job.log", "validation.csv")
"""Files of a job's results on this machine; features and pictures are data, and stay here."""


def add_job(bundle: Bundle, backends: Backends, job: str | None, results: Path) -> None:
    """Add the list of jobs, and the evidence of the named one, else of the newest."""
    with bundle.part("jobs"):
        records, silent = backends.records()
        for line in silent:
            bundle.lack("jobs", line)
        bundle.add("jobs.txt", page_of(table(records, [], time.time())))
        name = job or (records[0].id if records else None)
        if name is None:
            bundle.lack("job", "there is none yet")
            return
        add_results(bundle, name, results)
        with bundle.part(f"job/{name}"):
            backend, record = backends.find(name)
            _add_record(bundle, backend, record)
        return
    add_known_here(bundle, job, results)


def add_known_here(bundle: Bundle, job: str | None, results: Path) -> None:
    """Add what this machine keeps of the named job, else of the one whose results were written last."""
    name = job or last_result(results)
    if name is None:
        bundle.lack("job", "which one was the newest is not known, and this machine keeps results of none")
        return
    bundle.lack(f"job/{name}", "only its results on this machine are here: its cluster does not tell more")
    add_results(bundle, name, results)


def add_results(bundle: Bundle, job: str, results: Path) -> None:
    """Add what this machine keeps of a job's results."""
    for name in KEPT_RESULTS:
        if (results / job / name).is_file():
            bundle.add_file(f"job/{job}/results/{name}", results / job / name)


def last_result(results: Path) -> str | None:
    """Return the job whose results were written last on this machine; None without any."""
    found = [path.parent for path in results.glob("*/summary.json") if is_job_id(path.parent.name)]
    found += [path.parent for path in results.glob("*/job.log") if is_job_id(path.parent.name)]
    return max(found, key=lambda folder: folder.stat().st_mtime).name if found else None


def _add_record(bundle: Bundle, backend: Backend, record: JobRecord) -> None:
    folder = f"job/{record.id}"
    bundle.add(f"{folder}/record.json", f"{record.job.dump()}\n")
    bundle.add(f"{folder}/state.txt", f"{record.state}, status {record.status}\n")
    if record.state == "lost":
        bundle.collect(f"{folder}/lost.txt", lambda: backend.why_lost(record.job))
    # Of progress there are two a second, for days.
    kinds = tuple(kind for kind in EVENTS if kind is not Progress)
    with bundle.part(f"{folder}/events.jsonl"):
        kept = deque[str](maxlen=KEPT_LINES)
        backend.events(record.job, kinds, kept.append)
        bundle.add(f"{folder}/events.jsonl", _lines(kept))
    numbers = sorted(int(number) for number in record.history.executors if number.isdecimal())
    for executor in (None, *numbers[:EXECUTORS]):
        name = f"{folder}/{'driver' if executor is None else f'executor-{executor}'}.log"
        kept = deque[str](maxlen=KEPT_LINES)
        try:
            backend.logs(record, kept.append, executor=executor, follow=False)
        except CaffeSparkError as error:
            bundle.lack(name, str(error))
        if kept:
            bundle.add(name, _lines(kept))


def _lines(kept: deque[str]) -> str:
    return "".join(f"{line}\n" for line in kept)
