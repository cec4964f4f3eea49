"""Table of the cluster's running and ended jobs, with their progress."""

from __future__ import annotations

import textwrap
import time

from rich.table import Table

from bootstrap.cluster import AutoScalingGroup, ClusterDocument
from bootstrap.errors import CaffeSparkError
from jobs.backends.base import Foreign
from jobs.backends.registry import Backends
from jobs.job import JobRecord
from jobs.run.convert import is_run_name
from jobs.trainer import contract

SHOWN = 15
"""Ended jobs to list; running jobs are all listed."""
REASON = 80
"""Characters of a failure's reason."""


def status(backends: Backends) -> Table:
    """Return the table of jobs, newest first, with a line for each service that does not answer.

    Raises:
        ServiceDown, Unreachable: no backend answers.
    """
    jobs, silent = backends.records()
    others = list[Foreign]()
    try:
        others = backends.default.foreign({record.id for record in jobs})
    except CaffeSparkError as error:
        silent.append(str(error))
    shown = table(jobs, others, time.time())
    idle = idle_line(backends.document, jobs, time.time())
    told = [*dict.fromkeys(silent), *([idle] if idle else [])]
    shown.caption, shown.caption_justify = "\n".join(told) or None, "left"
    return shown


def table(jobs: list[JobRecord], others: list[Foreign], now: float) -> Table:
    """Return the table; `others` are applications that are no jobs. Pure."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("job", "state", "began", "took", "at", "executors", "application"):
        shown.add_column(name, no_wrap=name in ("job", "state"))
    ended = 0
    for record in jobs:
        ended += not record.active
        if not record.active and ended > SHOWN:
            continue
        shown.add_row(
            record.id,
            record.state,
            time.strftime("%m-%d %H:%M", time.localtime(record.began)),
            _took(record, now),
            _progress(record),
            ", ".join(
                f"{number} on {where['host']}" for number, where in sorted(record.history.executors.items())
            ),
            record.history.application,
        )
    for id_, state, name in others:
        whose = "fab convert" if is_run_name(name) else "not ours"
        shown.add_row(name, f"{state.lower()} ({whose})", "", "", "", "", id_)
    if not shown.row_count:
        shown.add_row("none yet: `fab submit-mnist`")
    return shown


def idle_line(document: ClusterDocument, jobs: list[JobRecord], now: float) -> str:
    """Return the line about a cluster on which nothing has run for the time of `idleStop`. Pure.

    Where workers can be stopped, the head does that, and `fab workers` tells.
    """
    limit = document.limits.idle_seconds if document.limits else None
    if limit is None or isinstance(document.members, AutoScalingGroup) or not jobs:
        return ""
    ends = [now if record.active else record.history.end or record.began for record in jobs]
    idle = now - max(ends)
    if idle < limit:
        return ""
    since = f"idle     nothing has run for {idle / 60:.0f} min (idleStop is {limit // 60} min)"
    if document.prices is None or document.prices.free:
        return f"{since}; workers on this machine are not stopped, and cost nothing"
    staying = document.prices.hourly(document.worker_count).text
    end = f"`pulumi destroy --stack {document.stack}` ends it"
    return f"{since}; HDInsight cannot pause: staying costs {staying} an hour, {end}"


def _progress(record: JobRecord) -> str:
    phase = record.history.phase
    step = record.history.last(contract.Progress)
    failed = record.history.last(contract.Failed)
    if failed and not record.active:
        return f"{phase}: {textwrap.shorten(failed.message, REASON, placeholder='…')}"
    if phase == "train" and step:
        return f"train, iteration {step.iteration} of {step.max_iter}"
    return phase if record.active or record.state != "done" else ""


def _took(record: JobRecord, now: float) -> str:
    end = now if record.active else record.history.end or record.began
    minutes, seconds = divmod(round(max(0.0, end - record.began)), 60)
    return f"{minutes}:{seconds:02}"
