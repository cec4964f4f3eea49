"""What a job has on the head: the trainer as a zip, the program, the prototxts, and a record of itself."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bootstrap import paths
from bootstrap.remote import Remote
from jobs.spec import JobSpec
from jobs.submit import JobPlace
from jobs.trainer.contract import PROGRAM_FILE, TRAINER_FILE

_JOBS = Path(__file__).parent
_SHIPPED = ("trainer", "on_head")
"""Of our packages: what runs on executors and what runs on the head."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
RECORD = "job.json"
PROGRAM_TEXT = "from jobs.trainer.main import run\n\nrun()\n"


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted job: enough to follow it from another process, or another day."""

    spec: JobSpec
    framework: str
    """Key of the framework it runs on."""
    place: JobPlace

    def dump(self) -> str:
        """As JSON."""
        spec = self.spec.model_dump(mode="json")
        return json.dumps({"spec": spec, "framework": self.framework, "place": asdict(self.place)}, indent=1)

    @classmethod
    def load(cls, text: str) -> SubmittedJob:
        """What `dump` wrote."""
        found = json.loads(text)
        return cls(JobSpec.model_validate(found["spec"]), found["framework"], JobPlace(**found["place"]))


def trainer_zip() -> bytes:
    """The trainer as an importable zip; the same sources give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("jobs/__init__.py", _EPOCH), "")
        for package in _SHIPPED:
            for file in sorted((_JOBS / package).glob("*.py")):
                entry = zipfile.ZipInfo(f"jobs/{package}/{file.name}", _EPOCH)
                archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def new_name(head: Remote, name: str) -> str:
    """A name that no job has; two that are submitted in the same second have each their own."""
    # The folder decides: who makes it has the name.
    tried = f"mkdir -p {paths.JOBS}; n={shlex.quote(name)}; i=1\n"
    tried += f'while ! mkdir {paths.JOBS}/"$n" 2>/dev/null && [ $i -lt 100 ]; do '
    tried += f'i=$((i + 1)); n={shlex.quote(name)}-$i; done; echo "$n"'
    return head.run(tried).stdout.strip()


def upload(head: Remote, job: SubmittedJob) -> None:
    """Lay everything into the job's folder, which belongs to the user that runs jobs."""
    place = job.place
    head.run(f"install -d -o {paths.JOB_USER} -m 0755 {place.folder}")
    head.put(trainer_zip(), f"{place.folder}/{TRAINER_FILE}")
    head.put(PROGRAM_TEXT.encode(), f"{place.folder}/{PROGRAM_FILE}")
    head.put(job.dump().encode(), f"{place.folder}/{RECORD}")
    for file in job.spec.shipped:
        head.put(file, f"{place.folder}/{file.name}")
