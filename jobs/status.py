"""`fab status`: which jobs the cluster has run and runs, and how far they are."""

from __future__ import annotations

import time

from rich.table import Table

from bootstrap.cluster import Cluster, Yarn
from bootstrap.errors import ServiceDown
from bootstrap.remote import connect
from jobs import records, yarn
from jobs.records import Kept

SHOWN = 15
"""Jobs that have ended; those that run are all shown."""


def status(cluster: Cluster) -> Table:
    """The jobs, the newest first; below them, that YARN does not answer, where it does not.

    Raises:
        Unreachable: the head does not answer.
    """
    others, silent = list[tuple[str, str, str]](), ""
    with connect(cluster, cluster.head) as head:
        jobs = records.all_jobs(head)
        if isinstance(cluster.scheduler, Yarn):
            try:
                others = yarn.others(head, cluster, {kept.id for kept in jobs})
            except ServiceDown as error:
                silent = str(error)
    shown = table(jobs, others, time.time())
    shown.caption, shown.caption_justify = silent or None, "left"
    return shown


def table(jobs: list[Kept], others: list[tuple[str, str, str]], now: float) -> Table:
    """As people see it. Pure. `others` are applications of somebody else: (id, state, name)."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("job", "state", "began", "took", "at", "executors", "application"):
        shown.add_column(name, no_wrap=name in ("job", "state"))
    ended = 0
    for kept in jobs:
        ended += not kept.active
        if not kept.active and ended > SHOWN:
            continue
        placed = kept.last("executors").get("executors", {})
        application = kept.last("application").get("id") or kept.last("executors").get("application", "")
        shown.add_row(
            kept.id,
            kept.state,
            time.strftime("%m-%d %H:%M", time.localtime(kept.began)),
            _took(kept, now),
            _progress(kept),
            ", ".join(f"{number} on {where['host']}" for number, where in sorted(placed.items())),
            application,
        )
    for id_, state, name in others:
        shown.add_row(name, f"{state.lower()} (not ours)", "", "", "", "", id_)
    if not shown.row_count:
        shown.add_row("none yet: `fab submit-mnist`")
    return shown


def _progress(kept: Kept) -> str:
    phase = str(kept.last("phase").get("phase", ""))
    step = kept.last("progress") or kept.last("display")
    failed = kept.last("failed")
    if failed and not kept.active:
        return f"{phase}: {' '.join(str(failed.get('message', '')).split())[:80]}"
    if phase == "train" and step:
        return f"train, iteration {step['iteration']} of {step['max_iter']}"
    return phase if kept.active or kept.state != "done" else ""


def _took(kept: Kept, now: float) -> str:
    end = now if kept.active else max([event["time"] for event in kept.events], default=kept.began)
    minutes, seconds = divmod(round(max(0.0, end - kept.began)), 60)
    return f"{minutes}:{seconds:02}"
