"""Records of jobs on the head: the job, its events, and the state of its unit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap import paths
from bootstrap.errors import JobError
from bootstrap.ssh.remote import Remote
from jobs.job import JobRecord, SubmittedJob, is_job_id
from jobs.report.history import History
from jobs.submission.names import RECORD_FILE
from jobs.trainer import contract
from jobs.trainer.contract import EVENTS_FILE

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
"""Kinds of events to list completely; of `_LAST` only the last event is listed."""
_LAST = (contract.Progress, contract.Display)

_LIST = r"""
import json, os, re, subprocess, sys
root, record, events, unit, kept, last, *names = sys.argv[1:]
kept, last = (tuple(json.loads(starts)) for starts in (kept, last))
LONGEST, MOST = 1 << 20, 10000
def text_of(path):
    return open(path, encoding="utf-8", errors="replace", newline="\n")
def read(path):
    try:
        with text_of(path) as file:
            return file.read(LONGEST)
    except OSError:
        return ""
def listed(path):
    lines, final = [], ""
    try:
        with text_of(path) as file:
            for line in iter(lambda: file.readline(LONGEST), ""):
                if line.startswith(kept) and len(lines) < MOST:
                    lines.append(line.rstrip("\n"))
                elif line.startswith(last):
                    final = line.rstrip("\n")
    except OSError:
        pass
    return lines, final
found = []
for name in names or os.listdir(root):
    folder = os.path.join(root, name)
    record_text = read(os.path.join(folder, record))
    if record_text:
        status = read(os.path.join(folder, "status")).strip()
        # Anything else was not written by the unit, and tells nothing.
        status = status if re.match("[0-9]{1,3}$", status) else ""
        lines, final = listed(os.path.join(folder, events))
        active = not status and subprocess.call(["systemctl", "is-active", "--quiet", unit + name]) == 0
        found.append({
            "job": name, "record": record_text, "status": status, "active": active,
            "began": os.stat(os.path.join(folder, record)).st_mtime,
            "events": lines,
            "last": final,
        })
print(json.dumps(found))
"""


def all_jobs(head: Remote) -> list[JobRecord]:
    """Return all jobs on the head; records of other versions of this program are skipped.

    Raises:
        Unreachable: the head does not answer.
    """
    return [record for record in map(_record, _found(head)) if record is not None]


def one_job(head: Remote, job: str) -> JobRecord | None:
    """Return a job by id; None if the head has none.

    Raises:
        JobError: its record is of another version.
        Unreachable: the head does not answer.
    """
    mine = _found(head, job) if is_job_id(job) else []
    record = _record(mine[0]) if mine else None
    if mine and record is None:
        why = "its record is of another version of this program"
        raise JobError(f"job {job!r}", why, f"Look at {paths.JOBS}/{job} on {head.node.name}.")
    return record


def _found(head: Remote, *names: str) -> list[Mapping[str, Any]]:
    starts = [json.dumps([contract.start_of(kind) for kind in kinds]) for kinds in (_KEPT, _LAST)]
    words = shlex.join([paths.JOBS, RECORD_FILE, EVENTS_FILE, UNIT, *starts, *names])
    listed = head.run(
        f"mkdir -p {paths.JOBS}; {paths.ANY_PYTHON} - {words} <<'LIST'\n{_LIST}\nLIST\n", timeout=60
    )
    found: list[Mapping[str, Any]] = json.loads(listed.stdout)
    return found


def _record(found: Mapping[str, Any]) -> JobRecord | None:
    try:
        job = SubmittedJob.load(found["record"])
    except (ValueError, KeyError, TypeError):
        return None
    lines: Sequence[str] = [*found["events"], found["last"]]
    return JobRecord(
        job,
        found["began"],
        found["active"],
        int(found["status"]) if found["status"] else None,
        History.load(lines),
    )
