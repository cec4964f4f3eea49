"""What the head keeps of its jobs: the record of each, its events, its unit's state."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap import paths
from bootstrap.errors import JobError
from bootstrap.remote import Remote
from jobs.history import History
from jobs.package import RECORD, SubmittedJob
from jobs.trainer import contract
from jobs.trainer.contract import DONE, EVENTS_FILE, KILLED, REFUSED

UNIT = "caffe-spark-job-"
_KEPT = (
    contract.Phase,
    contract.Application,
    contract.Waiting,
    contract.Executors,
    contract.Failed,
    contract.Done,
    contract.Trained,
)
"""Events that a list of jobs needs all of; of `_LAST` it needs the last one."""
_LAST = (contract.Progress, contract.Display)

_LIST = r"""
import json, os, subprocess, sys
root, record, events, unit, kept, last, *names = sys.argv[1:]
kept, last = (tuple(json.loads(starts)) for starts in (kept, last))
def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
found = []
for name in names or os.listdir(root):
    folder = os.path.join(root, name)
    told = read(os.path.join(folder, record))
    if told:
        status = read(os.path.join(folder, "status")).strip()
        lines = read(os.path.join(folder, events)).splitlines()
        active = not status and subprocess.call(["systemctl", "is-active", "--quiet", unit + name]) == 0
        found.append({
            "job": name, "record": told, "status": status, "active": active,
            "began": os.stat(os.path.join(folder, record)).st_mtime,
            "events": [line for line in lines if line.startswith(kept)],
            "last": ([line for line in lines if line.startswith(last)] or [""])[-1],
        })
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Kept:
    """A job as the head knows it."""

    job: SubmittedJob
    began: float
    """Seconds since the epoch."""
    active: bool
    status: int | None
    """The exit status of its unit; None while it runs, and when it was killed."""
    history: History

    @property
    def id(self) -> str:
        """Its name."""
        return self.job.place.id

    @property
    def state(self) -> str:
        """In a word: running, done, refused, failed, or lost."""
        if self.active:
            return "running"
        return {None: "lost", DONE: "done", REFUSED: "refused", KILLED: "killed"}.get(self.status, "failed")


def all_jobs(head: Remote) -> list[Kept]:
    """Every job of the cluster, the newest first; records of another version of this program are left out.

    Raises:
        Unreachable: the head does not answer.
    """
    kept = filter(None, map(_kept, _found(head)))
    return sorted(kept, key=lambda kept: kept.began, reverse=True)


def one_job(head: Remote, job: str) -> Kept:
    """One job.

    Raises:
        JobError: there is no such job.
        Unreachable: the head does not answer.
    """
    # The name becomes a folder's.
    mine = _found(head, job) if job and "/" not in job and not job.startswith(".") else []
    kept = _kept(mine[0]) if mine else None
    if kept is not None:
        return kept
    if mine:
        why = "its record is of another version of this program"
        raise JobError(f"job {job!r}", why, f"Look at {paths.JOBS}/{job} on {head.node.name}.")
    there = ", ".join(kept.id for kept in all_jobs(head)[:10])
    listed = f"there are: {there}" if there else "there is none yet"
    raise JobError(f"job {job!r}", f"{head.node.name} has no such job; {listed}", "Name one.")


def _found(head: Remote, *names: str) -> list[Mapping[str, Any]]:
    starts = [json.dumps([contract.start_of(kind) for kind in kinds]) for kinds in (_KEPT, _LAST)]
    words = shlex.join([paths.JOBS, RECORD, EVENTS_FILE, UNIT, *starts, *names])
    listed = head.run(
        f"mkdir -p {paths.JOBS}; {paths.ANY_PYTHON} - {words} <<'LIST'\n{_LIST}\nLIST\n", timeout=60
    )
    found: list[Mapping[str, Any]] = json.loads(listed.stdout)
    return found


def _kept(found: Mapping[str, Any]) -> Kept | None:
    try:
        job = SubmittedJob.load(found["record"])
    except (ValueError, KeyError, TypeError):
        return None
    lines: Sequence[str] = [*found["events"], found["last"]]
    return Kept(
        job,
        found["began"],
        found["active"],
        int(found["status"]) if found["status"] else None,
        History.load(lines),
    )
