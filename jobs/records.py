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
from jobs.package import RECORD, Job
from jobs.submit import EVENTS
from jobs.view import read_event

UNIT = "caffe-spark-job-"
KILLED = 143
"""Exit status of a job that was ended from outside."""

_LIST = r"""
import json, os, subprocess, sys
root, record, events, unit, *names = sys.argv[1:]
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
            # The end tells how far it is; what names executors and application comes early.
            "events": [line for line in lines
                       if line.startswith(('{"event": "phase"', '{"event": "application"',
                                           '{"event": "waiting"', '{"event": "executors"',
                                           '{"event": "failed"', '{"event": "done"',
                                           '{"event": "trained"'))],
            "last": ([line for line in lines
                      if line.startswith(('{"event": "progress"', '{"event": "display"'))] or [""])[-1],
        })
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Kept:
    """A job as the head knows it."""

    job: Job
    began: float
    """Seconds since the epoch."""
    active: bool
    status: int | None
    """The exit status of its unit; None while it runs, and when it was killed."""
    events: tuple[Mapping[str, Any], ...]

    @property
    def id(self) -> str:
        """Its name."""
        return self.job.place.id

    def last(self, kind: str) -> Mapping[str, Any]:
        """The last event of a kind; empty where there is none."""
        return next((event for event in reversed(self.events) if event["event"] == kind), {})

    @property
    def state(self) -> str:
        """In a word: running, done, refused, failed, or lost."""
        if self.active:
            return "running"
        return {None: "lost", 0: "done", 2: "refused", KILLED: "killed"}.get(self.status, "failed")


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
    words = shlex.join([paths.JOBS, RECORD, EVENTS, UNIT, *names])
    listed = head.run(
        f"mkdir -p {paths.JOBS}; {paths.ANY_PYTHON} - {words} <<'LIST'\n{_LIST}\nLIST\n", timeout=60
    )
    found: list[Mapping[str, Any]] = json.loads(listed.stdout)
    return found


def _kept(found: Mapping[str, Any]) -> Kept | None:
    try:
        job = Job.load(found["record"])
    except (ValueError, KeyError, TypeError):
        return None
    lines: Sequence[str] = [*found["events"], found["last"]]
    return Kept(
        job,
        found["began"],
        found["active"],
        int(found["status"]) if found["status"] else None,
        tuple(event for event in map(read_event, lines) if event is not None),
    )
