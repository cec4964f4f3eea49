"""Files of a job in its folder on the head: the trainer as a zip, the program, prototxts, its record.

The folder of all jobs and each job's are root's: nobody else can put a link there that root would follow.
"""

from __future__ import annotations

import io
import shlex
import zipfile
from pathlib import Path

from bootstrap import paths
from bootstrap.ssh.remote import Remote
from jobs.job import SubmittedJob
from jobs.submission.names import RECORD_FILE
from jobs.trainer.contract import PROGRAM_FILE, TRAINER_FILE

_JOBS = Path(__file__).parents[1]
_SHIPPED = ("api", "trainer", "backends/on_head", "datasets/on_head", "converters")
"""Folders of `jobs` that run on executors and on the head."""
_COMPAT = _JOBS / "api/compat"
"""Packages of CaffeOnSpark's names, at the top of the zip too, where its notebooks import them."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
PROGRAM_TEXT = "from jobs.trainer.main import run\n\nrun()\n"
_SCRIPT_TEXT = "from jobs.api.script import main\nfrom jobs.trainer.main import run\n\nrun(main)\n"


def trainer_zip() -> bytes:
    """Return the trainer as an importable zip; equal sources give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        files = {_JOBS / "__init__.py"}
        for folder in map(_JOBS.joinpath, _SHIPPED):
            files |= {*folder.rglob("*.py"), folder.parent / "__init__.py"}
        names = {f"jobs/{file.relative_to(_JOBS).as_posix()}": file for file in files}
        names |= {file.relative_to(_COMPAT).as_posix(): file for file in (_COMPAT / "com").rglob("*.py")}
        for name, file in sorted(names.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), file.read_bytes())
    return buffer.getvalue()


def taken_by_root() -> str:
    """Return shell that makes the folder of all jobs, and takes it from the job user, who had it before."""
    folder = shlex.quote(paths.JOBS)
    return f"mkdir -p {folder}; chown -h root:root {folder}; chmod 0755 {folder}\n"


def new_name(head: Remote, name: str) -> str:
    """Reserve a unique job name, also for jobs submitted in the same second."""
    # Creating the folder reserves the name: mkdir is atomic.
    tried = f"{taken_by_root()}umask 022; n={shlex.quote(name)}; i=1\n"
    tried += f'while ! mkdir {paths.JOBS}/"$n" 2>/dev/null && [ $i -lt 100 ]; do '
    tried += f'i=$((i + 1)); n={shlex.quote(name)}-$i; done; echo "$n"'
    return head.run(tried).stdout.strip()


def upload(head: Remote, job: SubmittedJob) -> None:
    """Upload a job's record into its folder, and its files into the working folder."""
    place = job.place
    head.put(trainer_zip(), f"{place.work}/{TRAINER_FILE}")
    program = _SCRIPT_TEXT if job.spec.script else PROGRAM_TEXT
    head.put(program.encode(), f"{place.work}/{PROGRAM_FILE}")
    for file in job.spec.shipped:
        head.put(file, f"{place.work}/{file.name}")
    head.put(job.dump().encode(), f"{place.folder}/{RECORD_FILE}")
    # Last: from here on root writes nothing there.
    work = shlex.quote(place.work)
    head.run(f"chown {paths.JOB_USER}: {work}; chmod 0755 {work}")
