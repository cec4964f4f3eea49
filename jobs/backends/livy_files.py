"""Files of Livy's jobs in shared storage: a job's program, its record, and the copy of its events.

Jobs can write all of them, so each is read up to a size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootstrap import paths
from bootstrap.errors import CommandFailed, JobError
from jobs.backends.base import OnLine
from jobs.job import JobPlace, SubmittedJob, is_job_id
from jobs.submission.names import RECORD_FILE
from jobs.submission.package import PROGRAM_TEXT, trainer_zip
from jobs.trainer.contract import EVENTS_FILE, PROGRAM_FILE, TRAINER_FILE, Event, start_of

if TYPE_CHECKING:
    from bootstrap.storage.blob import Blobs

PART: Final = 4 << 20
"""Bytes of events to read at once; a longer line is read in pieces."""
END: Final = 256 << 10
"""Bytes to read of the beginning, and of the end, of the events of a job that is listed."""
MOST_EVENTS: Final = 256 << 20
"""Bytes of a job's events to read for its curve."""
LONGEST_RECORD: Final = 256 << 10
LONGEST_FILE: Final = 256 << 20
"""Bytes of a file that travels with a job."""
RESERVED: Final = "reserved"
"""File that reserves the name of a job for the command that has made it."""
TRIES: Final = 100


class LivyFiles:
    """The jobs' folders in the cluster's storage."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def place(self, name: str) -> JobPlace:
        """Return the place of a job."""
        return JobPlace(name, "", self._blobs.url(folder(name)))

    def new_name(self, name: str) -> str:
        """Reserve a unique job name, also for jobs submitted in the same second.

        Raises:
            JobError: all names that it could have are taken.
            ConfigError, StackError, ServiceDown: storage refuses or does not answer.
        """
        # Jobs that the heads start have names of their own making in the same folder.
        tried = [f"{name}-livy", *(f"{name}-livy-{number}" for number in range(2, TRIES + 1))]
        for each in tried:
            if self._blobs.write_new(f"{folder(each)}/{RESERVED}", b""):
                return each
        raise JobError(f"job {name}", f"{TRIES} jobs have this name and time", "Rerun the command.")

    def upload(self, job: SubmittedJob) -> None:
        """Upload what the job runs, then its record."""
        place = folder(job.id)
        self._blobs.write(f"{place}/{TRAINER_FILE}", trainer_zip())
        self._blobs.write(f"{place}/{PROGRAM_FILE}", PROGRAM_TEXT.encode())
        for file in job.spec.shipped:
            self._blobs.write(f"{place}/{file.name}", file)
        self.write_record(job)

    def bring(self, name: str, files: Sequence[str], to: Path) -> None:
        """Copy files that travelled with a job into the folder `to`.

        Raises:
            JobError: one is not there any more.
        """
        for file in files:
            content = self._blobs.read(f"{folder(name)}/{file}", max_size=LONGEST_FILE)
            if content is None:
                why = f"there is no {self._blobs.url(f'{folder(name)}/{file}')} any more"
                fix = "Submit the job again with its specification: `fab submit --spec FILE --livy`."
                raise JobError(f"job {name}", why, fix)
            (to / file).write_bytes(content)

    def stored(self, uri: str) -> list[str] | None:
        """Return the names of the files in a folder; None for one that is not in this storage."""
        root = self._blobs.url("")
        if not uri.startswith(root):
            return None
        below = f"{uri.removeprefix(root).strip('/')}/"
        names = [path.removeprefix(below) for path in self._blobs.list(below)]
        return [name for name in names if "/" not in name]

    def write_record(self, job: SubmittedJob) -> None:
        """Write the job's record."""
        self._blobs.write(f"{folder(job.id)}/{RECORD_FILE}", job.dump().encode())

    def names(self) -> list[str]:
        """Return the ids of all jobs with a record."""
        prefix = paths.JOBS_DIR.lstrip("/") + "/"
        found = [path.split("/") for path in self._blobs.list(prefix)]
        names = [parts[-2] for parts in found if len(parts) > 1 and parts[-1] == RECORD_FILE]
        return [name for name in names if is_job_id(name)]

    def record(self, name: str) -> SubmittedJob | None:
        """Return a job by its record; None if there is none, or one of another version."""
        try:
            text = self._blobs.read(f"{folder(name)}/{RECORD_FILE}", max_size=LONGEST_RECORD)
            # The record may be a job's own work: its folder's name decides which job it is.
            return SubmittedJob.load((text or b"").decode(), self.place(name))
        except (CommandFailed, ValueError, KeyError, TypeError):
            return None

    def news(self, name: str, seen: int, *, ended: bool) -> tuple[bytes, bool]:
        """Return the next complete lines of a job's events after `seen` bytes, and whether these are all.

        Of a job that has `ended`, the last line may lack its end.
        """
        data, end = self._blobs.part(_events(name), seen, PART)
        everything = seen + len(data) >= end
        whole = data if ended and everything else data[: data.rfind(b"\n") + 1]
        return (whole or data if len(data) >= PART else whole), everything

    def events(self, name: str, kinds: Sequence[type[Event]], on_line: OnLine) -> bool:
        """Pass the complete lines of these kinds to `on_line`; return whether all of the file was read."""
        starts, seen, all_read = tuple(map(start_of, kinds)), 0, False
        while not all_read and seen < MOST_EVENTS:
            new, all_read = self.news(name, seen, ended=False)
            for line in lines_of(new):
                if line.startswith(starts):
                    on_line(line)
            seen += len(new)
        return all_read

    def ends_of_events(self, name: str) -> list[str]:
        """Return the lines of a job's events: of many, the first and the last, where the job is described."""
        first, end = self._blobs.part(_events(name), 0, END)
        start = max(len(first), end - END)
        rest = self._blobs.part(_events(name), start, END)[0] if start < end else b""
        if start == len(first):
            return lines_of(first + rest)
        return lines_of(first)[:-1] + lines_of(rest)[1:]


def folder(job: str) -> str:
    """Return the folder of a job in storage."""
    return f"{paths.JOBS_DIR}/{job}"


def lines_of(data: bytes) -> list[str]:
    """Return the lines of events; only a line feed ends one."""
    return data.decode(errors="replace").removesuffix("\n").split("\n") if data else []


def _events(job: str) -> str:
    return f"{folder(job)}/{EVENTS_FILE}"
