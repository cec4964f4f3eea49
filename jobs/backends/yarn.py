"""YARN as a backend: drivers run in a container on a worker, in cluster mode.

A program on the head (`on_head/yarn.py`) submits the application, receives its events and waits for its end.
"""

from __future__ import annotations

import time
from contextlib import suppress

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import JobError, ServiceDown, Unreachable
from bootstrap.ssh.reconnect import Recovery
from bootstrap.ssh.remote import Remote
from jobs.backends import resource_manager
from jobs.backends.base import LOST, Foreign, OnLine
from jobs.backends.head import HeadBackend
from jobs.backends.node_logs import LogPlace, executor_of, node_of, plain
from jobs.backends.on_head.resource_manager import Contents
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.spec import JobSpec
from jobs.submission.spark_submit import (
    QUICK_JVM,
    environment,
    jvm_settings,
    script,
    settings,
    spark_submit_argv,
)
from jobs.submission.yarn_settings import yarn_settings
from jobs.trainer.contract import EVENTS_FILE, TRAINER_FILE, Application, Failed, Waiting

CONTAINER_LOGS = ("/var/lib/yarn/logs", "/mnt/resource/hadoop/yarn/log", "/mnt/hadoop/yarn/log")
"""Log folders of running containers on NodeManagers: this project's and HDInsight's."""
AGGREGATED_S = 120.0
BEGUN_POLL_S = 1.0
EXECUTORS_MISSING = "executors-missing"
"""Failure code that YARN can explain."""


class YarnBackend(HeadBackend):
    """See `jobs.backends.base.Backend`."""

    name = "yarn"
    in_unit = "the program that follows it"

    def require_capacity(self, spec: JobSpec) -> None:
        """See `resource_manager.require_capacity`."""
        resource_manager.require_capacity(self.head, self.cluster, spec)

    def script(self, job: SubmittedJob) -> str:
        """See `HeadBackend.script`."""
        return job_script(job.spec, self.cluster, job.place)

    def log_place(self, record: JobRecord, executor: int | None) -> LogPlace:
        """See `HeadBackend.log_place`."""
        if executor is None:
            driver = _driver(record)
            host, container = driver.host, plain(driver.container)
        else:
            where = executor_of(self.cluster, record, executor)
            host, container = where["host"], where["container"]
        application = plain(record.history.application)
        folders = [f"{folder}/{application}/{container}" for folder in CONTAINER_LOGS]
        return LogPlace(node_of(self.cluster, host), tuple(folders) if application and container else ())

    def late_log(self, record: JobRecord, executor: int | None, on_line: OnLine) -> bool:
        """Pass on a log from shared storage, where YARN aggregates logs of ended applications."""
        application = plain(record.history.application)
        if not application:
            return False
        if executor is None:
            container = plain(_driver(record).container)
        else:
            container = executor_of(self.cluster, record, executor)["container"]
        # -appOwner: a restarted ResourceManager no longer knows the application or its owner.
        which = ["-appOwner", paths.JOB_USER, *(["-containerId", container] if container else ["-am", "1"])]
        words = ["logs", "-applicationId", application, *which, "-log_files", "stdout,stderr"]
        command = resource_manager.command(*words)
        contents, found = Contents(), False

        def pass_on(line: str) -> None:
            nonlocal found
            if contents.has(line):
                found = True
                on_line(line)

        # Without its warnings, which are no part of the log and come in between.
        self.head.run(f"{command} 2>/dev/null", check=False, timeout=AGGREGATED_S, on_line=pass_on)
        return found

    def wait_for_driver(self, record: JobRecord, *, follow: bool) -> JobRecord:
        """Wait until the driver has a container; return the newest record.

        Raises:
            JobError: it has none yet, without `follow`.
        """
        recovery = Recovery(self._link.reconnect)
        while record.active and not _driver(record).container:
            if not follow:
                waiting = record.history.last(Waiting)
                reason = (waiting.why if waiting else "") or _driver(record).said
                raise JobError(
                    f"job {record.id}",
                    f"YARN has not started its driver yet{f' ({reason})' if reason else ''}",
                    f"Run `fab logs {record.id} --follow --stack {self.cluster.stack}`, which waits for it.",
                )
            time.sleep(BEGUN_POLL_S)
            try:
                record = self.record(record.id) or record
                recovery.answered()
            except Unreachable as error:
                recovery.reconnect(error)
        return record

    def end_application(self, head: Remote, job: str) -> None:
        """See `HeadBackend.end_application`."""
        resource_manager.kill(head, self.cluster, job)

    def clean_up(self, job: SubmittedJob, exit_code: int) -> None:
        """See `Backend.clean_up`."""
        if exit_code == LOST:
            # After a reboot of the head the ResourceManager is not up yet, and its applications end with it.
            with suppress(ServiceDown):
                self.end_application(self.head, job.id)
        super().clean_up(job, exit_code)

    def explain(self, job: SubmittedJob, failed: Failed | None) -> str:
        """Return why YARN gave too few executors, for a job that failed with that."""
        if failed is not None and failed.code == EXECUTORS_MISSING:
            with suppress(ServiceDown):
                return resource_manager.explain(self.head, self.cluster, job.id)
        return ""

    def unfinished(self, job: SubmittedJob) -> bool:
        """See `Backend.unfinished`."""
        return bool(resource_manager.unfinished(self.head, self.cluster, job.id))

    def foreign(self, jobs: set[str]) -> list[Foreign]:
        """See `Backend.foreign`."""
        return resource_manager.foreign(self.head, self.cluster, jobs)


def job_script(spec: JobSpec, cluster: Cluster, place: JobPlace) -> str:
    """Return the shell script that runs a job on the head. Pure."""
    # HDInsight sets JVM options of its own, which these would replace.
    quick = {} if cluster.members.managed else jvm_settings(cluster)
    conf = {
        **settings(spec, cluster, place),
        **quick,
        **yarn_settings(spec, cluster, place),
        "spark.yarn.tags": place.id,
        # on_head/yarn.py follows the application, so no JVM has to wait for its end.
        "spark.yarn.submit.waitAppCompletion": "false",
    }
    submit = spark_submit_argv(spec, place, master=cluster.spark_master, deploy_mode="cluster", conf=conf)
    manager = resource_manager.access(cluster).resource_manager
    events = f"{place.work}/{EVENTS_FILE}"
    follow = [paths.PYTHON, "-m", "jobs.backends.on_head.yarn", manager, place.id, events, paths.YARN]
    # Modules are imported from the job's zip; the driver connects back to NODE_ADDRESS.
    before = f"export PYTHONPATH={TRAINER_FILE}\n"
    if quick:
        before += f'export SPARK_SUBMIT_OPTS="$SPARK_SUBMIT_OPTS {QUICK_JVM}"\n'
    before += f". {paths.IDENTITY}; export NODE_ADDRESS\n"
    return script(place, environment(spec, cluster, place), [*follow, *submit], before=before)


def _driver(record: JobRecord) -> Application:
    """Return YARN's last report, which has the driver's container; empty without one."""
    return record.history.last(Application) or Application()
