"""Records of jobs on the head: the job, its events, and the state of its unit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import JobError
from bootstrap.ssh import restarts
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import Remote
from jobs.backends.opened import OPENED
from jobs.job import WORK, JobPlace, JobRecord, SubmittedJob, is_job_id
from jobs.report.history import History
from jobs.submission.names import RECORD_FILE
from jobs.trainer import contract
from jobs.trainer.contract import EVENTS_FILE

UNIT = paths.JOB_UNIT
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

_LIST = (
    r"""
import json, os, re, stat, sys
root, record, events, work, running, kept, last, *names = sys.argv[1:]
running = running.split()
kept, last = (tuple(start.encode() for start in json.loads(starts)) for starts in (kept, last))
FIRST, LAST = 1 << 20, 4 << 20
LONGEST, OF_A_JOB, OF_ALL = 1 << 18, 1 << 20, 1 << 26
"""
    + OPENED
    + r"""def read(path):
    try:
        with open(path, "rb", opener=opened) as file:
            return file.read(LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""
def ends(path):
    # The job begins and ends there; a file of terabytes is not read whole.
    try:
        with open(path, "rb", opener=opened) as file:
            first = file.read(FIRST)
            size = file.seek(0, os.SEEK_END)
            begin = file.seek(max(len(first), size - LAST))
            rest = file.read(LAST)
    except OSError:
        return []
    if begin == len(first):
        return (first + rest).split(b"\n")
    return first.split(b"\n")[:-1] + rest.split(b"\n")[1:]
def listed(path, room):
    # As many bytes of answer as there is room for: half for the end, the rest for the beginning.
    lines = ends(path)
    chosen, final, left = {}, "", [room // 2, room - room // 2]
    def take(line, part):
        # Escaped, a byte takes up to six.
        text = line.decode("utf-8", "replace") if len(line) <= left[part] else ""
        cost = len(json.dumps(text))
        if not text or cost > left[part]:
            return ""
        left[part] -= cost
        return text
    for line in reversed(lines):
        if line.startswith(last):
            final = take(line, 0)
            break
    wanted = [number for number, line in enumerate(lines) if line.startswith(kept)]
    for part, numbers in enumerate((wanted[::-1], wanted)):
        for number in numbers:
            text = number not in chosen and take(lines[number], part)
            if text:
                chosen[number] = text
    return [chosen[number] for number in sorted(chosen)], final
found, jobs = [], names or os.listdir(root)
for name in jobs:
    folder = os.path.join(root, name)
    record_text = read(os.path.join(folder, record))
    if record_text:
        status = read(os.path.join(folder, "status")).strip()
        # Anything else was not written by the unit, and tells nothing.
        status = status if re.match("[0-9]{1,3}$", status) else ""
        place = os.path.join(folder, work) if os.path.isdir(os.path.join(folder, work)) else folder
        lines, final = listed(os.path.join(place, events), min(OF_A_JOB, OF_ALL // len(jobs)))
        active = not status and name in running
        found.append({
            "job": name, "record": record_text, "status": status, "active": active,
            "began": os.stat(os.path.join(folder, record)).st_mtime,
            "events": lines,
            "last": final,
        })
print(json.dumps(found))
"""
)
"""Program that lists jobs as JSON. It reads of each what its beginning and end take, and prints of all jobs
at most OF_ALL bytes of events, equal shares."""


_RUNNING = f"""systemctl list-units --plain --no-legend --full --all \\
    --state=active,activating,deactivating,reloading '{UNIT}*.service' |
    sed 's/^{UNIT}//; s/\\.service .*//'
{restarts.listed(UNIT)}"""
"""Shell that prints the ids of the jobs whose units run, or begin again."""


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


def running(head: Remote) -> set[str]:
    """Return the ids of the jobs whose units run.

    Raises:
        Unreachable: the head does not answer.
    """
    return {name for name in head.run(f"{_RUNNING}\n", timeout=60).stdout.split() if is_job_id(name)}


def _found(head: Remote, *names: str) -> list[Mapping[str, Any]]:
    starts = [json.dumps([contract.start_of(kind) for kind in kinds]) for kinds in (_KEPT, _LAST)]
    words = shlex.join([paths.JOBS, RECORD_FILE, EVENTS_FILE, WORK])
    rest = shlex.join([*starts, *names])
    # Root asks systemd; the files, of which a job may have made links, are read as the job user.
    listed = head.run(
        f"""{AS_USER}mkdir -p {paths.JOBS}
running=$({_RUNNING})
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
