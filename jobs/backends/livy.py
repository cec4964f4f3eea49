"""Livy as a backend: HDInsight's job server, over HTTPS alone, for operators without SSH access.

A job's files and its record are in shared storage. The driver copies its events there while it runs, and
that copy is followed. A batch runs and bills until it ends: where it can be neither followed nor ended, the
error has the commands to do so by hand.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bootstrap import paths
from bootstrap.aside import replacing
from bootstrap.cluster import ClusterDocument
from bootstrap.errors import CaffeSparkError, ConfigError, JobError, ServiceDown
from bootstrap.storage.folders import MANIFEST
from jobs import capacity
from jobs.backends.base import LOST, Foreign, Log, OnLine
from jobs.backends.livy_batch import Batch
from jobs.backends.livy_client import AnswerLost, Livy
from jobs.backends.livy_files import LivyFiles, folder, lines_of
from jobs.datasets import registry
from jobs.job import JobPlace, JobRecord, SubmittedJob, is_job_id
from jobs.report.history import History
from jobs.signals import handled, uninterrupted
from jobs.spec import JobSpec
from jobs.submission.spark_submit import settings, trainer_arguments
from jobs.submission.yarn_settings import DRIVER_ENV, yarn_settings
from jobs.trainer import contract
from jobs.trainer.contract import EVENTS_FILE, EVENTS_URI_ENV, PROGRAM_FILE, RESTART, TRAINER_FILE, Failed

if TYPE_CHECKING:
    from bootstrap.storage.blob import Blobs

POLL_S: Final = 3.0
ENDED: Final = {
    "success": contract.DONE,
    "killed": contract.KILLED,
    "dead": contract.FAILED,
    "error": contract.FAILED,
}
"""Exit status by final state of a batch."""
READERS: Final = 8
"""Records to read in parallel."""


class LivyBackend:
    """See `jobs.backends.base.Backend`."""

    name = "livy"

    def __init__(self, document: ClusterDocument, poll: float = POLL_S) -> None:
        self.document, self._poll = document, poll
        self._livy = Livy.of(document)
        self._say: OnLine = print

    @cached_property
    def _blobs(self) -> Blobs:
        # Importing Azure's clients takes a second, which other clusters need not spend
        from bootstrap.storage.blob import Blobs

        return Blobs.of(self.document)

    @cached_property
    def _files(self) -> LivyFiles:
        return LivyFiles(self._blobs)

    @property
    def driver(self) -> str:
        """See `Backend.driver`."""
        return self._livy.name

    def close(self) -> None:
        """See `Backend.close`; HTTPS connections need no closing."""

    def capacity(self, spec: JobSpec) -> None:
        """See `Backend.capacity`."""
        capacity.check(spec, self.document)
        if spec.onDriverLost == RESTART:
            raise ConfigError(
                f"onDriverLost: {RESTART}",
                "Livy starts no driver again",
                "Run it without --livy, or remove the key: `fab resume` goes on from the newest snapshot.",
            )
        # Data is converted on a head over SSH, which Livy cannot do.
        # The manifest is written last.
        if spec.data and not self._blobs.exists(f"{registry.path_of(spec.data)}/{MANIFEST}"):
            stack = self.document.stack
            fix = f"Run the command for stack {stack} once without --livy, which prepares it."
            if not registry.built_in(spec.data):
                fix = f"Put it there: `fab data put PATH {spec.data} --stack {stack}`."
            raise JobError(f"data: {spec.data}", f"it is not in {self._blobs.url(paths.DATA)} yet", fix)

    def launch(self, spec: JobSpec, framework: str, say: OnLine) -> SubmittedJob:
        """See `Backend.launch`."""
        self._say = say
        name = self._files.new_name(f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        place = self._files.place(name)
        job = SubmittedJob(spec, framework, place, self.name, submitted=time.time())
        self._files.upload(job)
        try:
            with _delayed_signals():
                job = replace(job, batch=self._submit(job))
                self._files.write_record(job)
        except KeyboardInterrupt:
            if job.batch is not None:
                self.kill(job)
            raise
        say(f"job      {name} is Livy's batch {job.batch} on {self._livy.name}")
        return job

    def follow(self, job: SubmittedJob, on_line: OnLine) -> int:
        """See `Backend.follow`."""
        batch, seen, state, history = self._batch(job), 0, "", History()
        while True:
            try:
                state = batch.retried(lambda: self._livy.state(batch.number))
                # Livy forgets old batches: then the events have the outcome.
                ended = state in ENDED or not state
                # Read after the state, so that all events before the end are included.
                new, all_read = batch.retried(partial(self._files.news, job.id, seen, ended=ended))
            except CaffeSparkError as error:
                if state in ENDED:
                    raise
                raise batch.runs_on("can no longer be followed", error) from error
            for line in lines_of(new):
                on_line(line)
                history.add_line(line)
            seen += len(new)
            if all_read and ended:
                return ENDED[state] if state else _status_of(history)
            if all_read:
                time.sleep(self._poll)

    def events(self, job: SubmittedJob, kinds: Sequence[type[contract.Event]], on_line: OnLine) -> bool:
        """See `Backend.events`."""
        return self._files.events(job.id, kinds, on_line)

    def bring_log(self, job: SubmittedJob, to: Path) -> Log:
        """See `Backend.bring_log`: spark-submit's log, and the command that shows the driver's log."""
        batch = self._batch(job)
        text = "\n".join(batch.log()) + "\n"
        to.write_text(text)
        application = batch.application()
        where = (
            f"`yarn logs -applicationId {application}` on a head; Livy's: {to}" if application else str(to)
        )
        return Log(text, where)

    def bring_files(self, job: SubmittedJob, names: Sequence[str], to: Path) -> None:
        """See `Backend.bring_files`."""
        self._files.bring(job.id, names, to)

    def stored(self, folder: str) -> list[str] | None:
        """See `Backend.stored`."""
        return self._files.stored(folder)

    def bring_features(self, job: SubmittedJob, to: Path) -> None:
        """See `Backend.bring_features`."""
        prefix = f"{folder(job.id)}/features/part-".lstrip("/")
        with replacing(to) as new, new.open("wb") as file:
            for path in self._blobs.list(prefix):
                self._blobs.copy(path, file)

    def clean_up(self, job: SubmittedJob, exit_code: int) -> None:
        """See `Backend.clean_up`: YARN ends a batch's containers with the batch."""

    def explain(self, job: SubmittedJob, failed: Failed | None) -> str:
        """See `Backend.explain`."""
        return ""

    def why_lost(self, job: SubmittedJob) -> str:
        """See `Backend.why_lost`."""
        return f"its events have no end, and Livy on {self._livy.name} has forgotten its batch: it was killed"

    def logs(self, record: JobRecord, on_line: OnLine, *, executor: int | None, follow: bool) -> None:
        """See `Backend.logs`; Livy has spark-submit's log only."""
        batch = self._batch(record.job)
        if executor is not None:
            application = batch.application() or record.history.application or "ID"
            raise JobError(
                f"executor {executor} of job {record.id}",
                "Livy has no logs of executors",
                f"Run `yarn logs -applicationId {application}` on a head.",
            )
        seen = 0
        while True:
            ended = batch.retried(lambda: self._livy.state(batch.number)) in ENDED
            lines = batch.log()
            for line in lines[seen:]:
                on_line(line)
            seen = max(seen, len(lines))
            if ended or not follow:
                return
            time.sleep(self._poll)

    def kill(self, job: SubmittedJob) -> str:
        """See `Backend.kill`."""
        batch = self._batch(job)
        with uninterrupted():
            batch.end()
        return f"is ended: Livy's batch {batch.number} on {self._livy.name}"

    def unfinished(self, job: SubmittedJob) -> bool:
        """See `Backend.unfinished`."""
        return False

    def records(self) -> list[JobRecord]:
        """See `Backend.records`."""
        with ThreadPoolExecutor(READERS) as readers:
            found = readers.map(self._record, self._files.names())
            return [record for record in found if record is not None]

    def record(self, job: str) -> JobRecord | None:
        """See `Backend.record`."""
        return self._record(job) if is_job_id(job) else None

    def foreign(self, jobs: set[str]) -> list[Foreign]:
        """See `Backend.foreign`: the YARN backend lists them."""
        return []

    def _record(self, name: str) -> JobRecord | None:
        job = self._files.record(name)
        if job is None:
            return None
        history = History.load(self._files.ends_of_events(name))
        number = self._number(job)
        state = self._livy.state(number) if number is not None else ""
        if state and state not in ENDED:
            return JobRecord(job, job.submitted, True, None, history)
        reported = _status_of(history)
        status = reported if reported != LOST else ENDED.get(state)
        return JobRecord(job, job.submitted, False, status, history)

    def _batch(self, job: SubmittedJob) -> Batch:
        number = self._number(job)
        if number is None:
            raise JobError(
                f"job {job.id}",
                f"Livy on {self._livy.name} has no batch of it (any more)",
                f"Run `fab status --stack {self.document.stack}` to see how it ended.",
            )
        return Batch(self._livy, number, job.id, self._say, self._poll)

    def _number(self, job: SubmittedJob) -> int | None:
        """Return the id of the job's batch: as recorded, or by name if Livy's response was lost."""
        return self._livy.find(job.id, job.batch)

    def _submit(self, job: SubmittedJob) -> int:
        try:
            return self._livy.submit(body(job.spec, self.document, job.place))
        except AnswerLost as error:
            given = f"job {job.id}: {error.given}"
            raise ServiceDown(given, f"{error.why}; it may have started", self._livy.by_hand()) from error


def body(spec: JobSpec, document: ClusterDocument, place: JobPlace) -> dict[str, Any]:
    """Return Livy's request: spark-submit's command line, as JSON. Pure.

    https://livy.apache.org/docs/latest/rest-api.html#post-batches
    """
    conf = {**settings(spec, document, place), **yarn_settings(spec, document, place)}
    conf[f"{DRIVER_ENV}{EVENTS_URI_ENV}"] = f"{place.storage}/{EVENTS_FILE}"
    return {
        "name": place.id,
        "file": f"{place.storage}/{PROGRAM_FILE}",
        "pyFiles": [f"{place.storage}/{TRAINER_FILE}"],
        "files": [f"{place.storage}/{file.name}" for file in spec.shipped],
        "args": trainer_arguments(spec, place),
        "conf": conf,
    }


def _status_of(history: History) -> int:
    """Return the exit status by a job's events; LOST if they have no end."""
    failed = history.last(Failed)
    if failed is not None:
        return failed.exit_code
    return contract.DONE if history.last(contract.Done) is not None else LOST


@contextmanager
def _delayed_signals() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM, since a batch interrupted before its record is written would be lost."""
    received: list[int] = []

    def later(number: int, _frame: object) -> None:
        received.append(number)

    with handled({signal.SIGINT: later, signal.SIGTERM: later}):
        yield
    if received:
        raise KeyboardInterrupt
