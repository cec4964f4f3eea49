"""Records of jobs on the head: the job, its events, and the state of its unit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import JobError
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import Remote
from jobs.job import WORK, JobPlace, JobRecord, SubmittedJob, is_job_id
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
import json, os, re, sys
root, record, events, work, running, kept, last, *names = sys.argv[1:]
running = running.split()
kept, last = (tuple(json.loads(starts)) for starts in (kept, last))
LONGEST, MOST = 1 << 20, 10000
def opened(path, flags):
    # A job may have put anything there: a pipe without a writer would wait for one.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
def text_of(path):
    return open(path, encoding="utf-8", errors="replace", newline="\n", opener=opened)
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
        lines, final = listed(os.path.join(folder, work, events))
        if not os.path.isdir(os.path.join(folder, work)):
            lines, final = listed(os.path.join(folder, events))
        active = not status and name in running
        found.append({
            "job": name, "record": record_text, "status": status, "active": active,
            "began": os.stat(os.path.join(folder, record)).st_mtime,
            "events": lines,
            "last": final,
        })
print(json.dumps(found))
"""


def place_of(cluster: Cluster, job: str) -> JobPlace:
    """Return the place of a job on a cluster's head, by its id alone. Pure."""
    storage = f"{cluster.shared_storage.rstrip('/')}{paths.JOBS_DIR}/{job}"
    return JobPlace(job, f"{paths.JOBS}/{job}", storage)


def all_jobs(head: Remote, cluster: Cluster) -> list[JobRecord]:
    """Return all jobs on the head; records of other versions of this program are skipped.

    Raises:
        Unreachable: the head does not answer.
    """
    records = (_record(cluster, found) for found in _found(head))
    return [record for record in records if record is not None]


def one_job(head: Remote, cluster: Cluster, job: str) -> JobRecord | None:
    """Return a job by id; None if the head has none.

    Raises:
        JobError: its record is of another version.
        Unreachable: the head does not answer.
    """
    mine = _found(head, job) if is_job_id(job) else []
    record = _record(cluster, mine[0]) if mine else None
    if mine and record is None:
        why = "its record is of another version of this program"
        raise JobError(f"job {job!r}", why, f"Look at {paths.JOBS}/{job} on {head.node.name}.")
    return record


def _found(head: Remote, *names: str) -> list[Mapping[str, Any]]:
    starts = [json.dumps([contract.start_of(kind) for kind in kinds]) for kinds in (_KEPT, _LAST)]
    words = shlex.join([paths.JOBS, RECORD_FILE, EVENTS_FILE, WORK])
    rest = shlex.join([*starts, *names])
    # Root asks systemd; the files, of which a job may have made links, are read as the job user.
    listed = head.run(
        f"""{AS_USER}mkdir -p {paths.JOBS}
running=$(systemctl list-units --plain --no-legend --full --all \\
    --state=active,activating,deactivating,reloading '{UNIT}*.service' |
    sed 's/^{UNIT}//; s/\\.service .*//')
as_user {paths.JOB_USER} {paths.ANY_PYTHON} - {words} "$running" {rest} <<'LIST'
{_LIST}
LIST
""",
        timeout=60,
    )
    found: list[Mapping[str, Any]] = json.loads(listed.stdout)
    return found


def _record(cluster: Cluster, found: Mapping[str, Any]) -> JobRecord | None:
    name = found["job"]
    try:
        # The record may be the job's own work: the folder's name decides which job it is, and where.
        job = SubmittedJob.load(found["record"], place_of(cluster, name)) if is_job_id(name) else None
    except (ValueError, KeyError, TypeError):
        return None
    if job is None:
        return None
    lines: Sequence[str] = [*found["events"], found["last"]]
    return JobRecord(
        job,
        found["began"],
        found["active"],
        int(found["status"]) if found["status"] else None,
        History.load(lines),
    )
