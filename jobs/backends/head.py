"""Base of backends whose jobs are systemd units on the head: Spark's own master and YARN.

The unit outlives the process that submits it. Its folder has the job's record, program, log and
events.
"""

from __future__ import annotations

import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError, Unreachable
from bootstrap.ssh.reconnect import Link
from bootstrap.ssh.remote import Remote, connect
from bootstrap.ssh.unit import Unit
from bootstrap.storage.hadoop import SharedStorage
from bootstrap.storage.listing import listed
from jobs import capacity
from jobs.backends import head_events, head_files, head_records, lost, node_logs, nodes, processes
from jobs.backends.base import Foreign, Log, OnLine
from jobs.backends.head_records import UNIT
from jobs.backends.node_logs import LogPlace
from jobs.job import JobRecord, SubmittedJob
from jobs.signals import uninterrupted
from jobs.spec import JobSpec
from jobs.submission.package import new_name, taken_by_root, upload
from jobs.trainer.contract import DONE, EVENTS_FILE, KILLED, RESTART, RESTARTS_ENV, Event, Failed

FEATURES = "features"


class HeadBackend(ABC):
    """Backend whose jobs are units on the head; subclasses implement the cluster manager's part."""

    name: str
    in_unit = "its driver"
    """Program in the job's unit, as sentences name it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._link = Link(cluster)
        self._followed = False

    # ---- implemented per cluster manager

    @abstractmethod
    def require_capacity(self, spec: JobSpec) -> None:
        """Refuse a job that the cluster manager has no free resources for."""

    @abstractmethod
    def script(self, job: SubmittedJob) -> str:
        """Return the shell script that runs the job on the head."""

    @abstractmethod
    def log_place(self, record: JobRecord, executor: int | None) -> LogPlace:
        """Return the node and the files of a log. Raises JobError if there is no such executor."""

    def late_log(self, record: JobRecord, executor: int | None, on_line: OnLine) -> bool:
        """Pass on a log that was aggregated off its node; return False if there is none."""
        return False

    def wait_for_driver(self, record: JobRecord, *, follow: bool) -> JobRecord:
        """Wait until the driver writes its log; return the newest record."""
        return record

    def end_application(self, head: Remote, job: str) -> None:  # noqa: B027 - Spark's own master has none
        """Kill the job's application in the cluster manager."""

    # ---- the protocol

    @property
    def document(self) -> Cluster:
        """See `Backend.document`."""
        return self.cluster

    @property
    def driver(self) -> str:
        """See `Backend.driver`."""
        return self.cluster.head.name

    @property
    def head(self) -> Remote:
        """Connection to the head."""
        return self._link.remote

    def close(self) -> None:
        """See `Backend.close`."""
        self._link.close()

    def capacity(self, spec: JobSpec) -> None:
        """See `Backend.capacity`."""
        capacity.check(spec, self.cluster)
        nodes.require_framework(self.cluster)
        self._storage().require_writable()
        self.require_capacity(spec)

    def launch(self, spec: JobSpec, framework: str, say: OnLine) -> SubmittedJob:
        """See `Backend.launch`."""
        head = self.head
        name = new_name(head, f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        place = head_records.place_of(self.cluster, name)
        job = SubmittedJob(spec, framework, place, self.name, submitted=time.time())
        upload(head, job)
        unit = self._unit(job)
        try:
            unit.start(self.script(job))
        except KeyboardInterrupt:
            self.kill(job)
            raise
        say(f"job      {name} on {head.node.name}; full log: {unit.log}")
        return job

    def follow(self, job: SubmittedJob, on_line: OnLine) -> int:
        """See `Backend.follow`."""
        try:
            if self._followed:
                # An interrupt of the last call may have left a partial response on the connection.
                self._link.reconnect()
            self._followed = True
            follow = self._unit(job).follow
            return follow(on_line, extra_file=_events(job), reconnect=self._link.reconnect)
        except Unreachable as error:
            # Not "run the command again": that would submit a second job.
            attach = f"fab attach {job.id} --stack {self.cluster.stack}"
            fix = f"The job runs on there; when the head is reachable again, run `{attach}`."
            raise Unreachable(f"job {job.id}: {error.given}", error.why, fix) from error

    def events(self, job: SubmittedJob, kinds: Sequence[type[Event]], on_line: OnLine) -> bool:
        """See `Backend.events`."""
        return head_events.read(self.head, _events(job), kinds, on_line)

    def bring_log(self, job: SubmittedJob, to: Path) -> Log:
        """See `Backend.bring_log`."""
        return head_files.bring_log(self.head, job.place, to)

    def bring_files(self, job: SubmittedJob, names: Sequence[str], to: Path) -> None:
        """See `Backend.bring_files`."""
        head_files.bring_files(self.head, job.id, job.place, names, to)

    def stored(self, folder: str) -> list[str] | None:
        """See `Backend.stored`."""
        uri = f"{self.cluster.shared_storage.rstrip('/')}/"
        if not folder.startswith(uri):
            return None
        return [entry.name for entry in listed(self._storage(), folder.removeprefix(uri)) if not entry.folder]

    def bring_features(self, job: SubmittedJob, to: Path) -> None:
        """See `Backend.bring_features`."""
        # Not in the job's folder, which was the job user's in earlier versions.
        on_head = f"{paths.JOBS}/.{FEATURES}-{token()}"
        self.head.run(taken_by_root())
        try:
            output = job.place.output.removeprefix(self.cluster.shared_storage)
            self._storage().fetch(f"{output}/part-*", on_head)
            self.head.get(on_head, to)
        finally:
            with suppress(Unreachable):  # the first error matters
                self.head.run(f"rm -f {shlex.quote(on_head)}", check=False)

    def clean_up(self, job: SubmittedJob, exit_code: int) -> None:
        """See `Backend.clean_up`."""
        self._reap(self.head, job)
        if exit_code != DONE:
            head_files.drop_empty(self.head, self.cluster, job.id)

    def explain(self, job: SubmittedJob, failed: Failed | None) -> str:
        """See `Backend.explain`."""
        return ""

    def why_lost(self, job: SubmittedJob) -> str:
        """See `Backend.why_lost`."""
        return lost.why(self._unit(job), self.in_unit)

    def logs(self, record: JobRecord, on_line: OnLine, *, executor: int | None, follow: bool) -> None:
        """See `Backend.logs`."""
        if executor is None:
            record = self.wait_for_driver(record, follow=follow)
        place = self.log_place(record, executor)
        on_head = place.node is None or place.node.name == self.cluster.head.name
        with nullcontext(self._link) if on_head else Link(self.cluster, place.node) as link:
            if follow and record.active:
                read_any = node_logs.follow(link, record.id, place.files, on_line)
            else:
                read_any = node_logs.read(link.remote, place.files, on_line)
        if read_any or self.late_log(record, executor, on_line):
            return
        subject = f"executor {executor}" if executor is not None else "its driver"
        attach = f"fab attach {record.id} --stack {self.cluster.stack}"
        raise JobError(
            f"job {record.id}",
            f"there is no log of {subject} (any more)",
            f"Run `{attach}`, which copies the logs that are left into results/{record.id}.",
        )

    def kill(self, job: SubmittedJob) -> str:
        """See `Backend.kill`."""
        # A kill in progress is not interrupted by further Ctrl-C.
        with uninterrupted(), connect(self.cluster, self.cluster.head) as head:
            # Followers report it as killed, not as lost.
            head.run(taken_by_root())
            unit = self._unit(job, head)
            with suppress(CommandFailed):  # a job of an earlier version may have blocked its own status
                unit.mark(KILLED)
            unit.stop()
            try:
                self.end_application(head, job.id)
            finally:
                reaped = self._reap(head, job)
            head_files.drop_empty(head, self.cluster, job.id)
        unknown = [node.name for node in self.cluster.nodes if node.name not in reaped]
        rest = f"; not reachable: {', '.join(unknown)}" if unknown else ""
        return f"is gone from {', '.join(reaped)}{rest}"

    def unfinished(self, job: SubmittedJob) -> bool:
        """See `Backend.unfinished`."""
        return False

    def records(self) -> list[JobRecord]:
        """See `Backend.records`."""
        return head_records.all_jobs(self.head, self.cluster)

    def record(self, job: str) -> JobRecord | None:
        """See `Backend.record`."""
        return head_records.one_job(self.head, self.cluster, job)

    def foreign(self, jobs: set[str]) -> list[Foreign]:
        """See `Backend.foreign`."""
        return []

    def _others(self, head: Remote, job: SubmittedJob) -> set[str] | None:
        """Return the other jobs that run; None if the head does not say."""
        try:
            return head_records.running(head) - {job.id}
        except (CommandFailed, Unreachable):
            return None

    def _reap(self, head: Remote, job: SubmittedJob) -> list[str]:
        return processes.reap(self.cluster, job.id, self._others(head, job), scratch=job.place.temporary)

    def _storage(self) -> SharedStorage:
        return SharedStorage(self.head, self.cluster.shared_storage)

    def _unit(self, job: SubmittedJob, head: Remote | None = None) -> Unit:
        place = job.place
        remote, user = head or self.head, paths.JOB_USER
        again = RESTARTS_ENV if job.spec.onDriverLost == RESTART else ""
        return Unit(remote, UNIT + job.id, place.folder, user=user, scratch=place.temporary, again=again)


def _events(job: SubmittedJob) -> str:
    return f"{job.place.work}/{EVENTS_FILE}"
