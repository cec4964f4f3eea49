"""Runs a job on a cluster and brings its results back.

The job is a unit on the head: it outlives this process. Ctrl-C on a terminal asks whether to detach or to
kill; without a terminal, and on SIGTERM, it is killed. Killed means that no process of it is left anywhere.
"""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster, Yarn
from bootstrap.errors import CommandFailed, JobError, ServiceDown, Unreachable
from bootstrap.remote import Remote, connect
from bootstrap.storage import SharedStorage
from bootstrap.unit import LOST, Unit
from jobs import package, preflight, yarn
from jobs.clean import sweep
from jobs.link import Link
from jobs.package import Job
from jobs.records import KILLED, UNIT, one_job
from jobs.signals import Terminated, stopping_signals, uninterrupted
from jobs.spec import JobSpec
from jobs.submit import EVENTS, JobPlace, script
from jobs.summary import Summary, summarise
from jobs.view import View

NOT_GRANTED = "executors requested"
"""The trainer's words (jobs/trainer/checks.py) when fewer registered in time."""


def run_job(
    cluster: Cluster, spec: JobSpec, framework_key: str, console: Console, results: Path
) -> Summary | None:
    """Submit a job, follow it, and bring its results into `results`/JOB.

    Returns:
        What it gave; None when the user detached from it.

    Raises:
        ConfigError: the cluster is too small for it.
        JobError: it was refused, failed or was killed.
        ServiceDown: shared storage or Spark's master cannot be used.
        Unreachable: the head or a worker does not answer.
    """
    spec.check(cluster)
    preflight.nodes(cluster)
    with Link(cluster) as link:
        head = link.remote
        storage = SharedStorage(head, cluster.shared_storage)
        storage.require_writable()
        preflight.spark(head, cluster, spec)
        name = package.new_name(head, f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        place = JobPlace(name, f"{paths.JOBS}/{name}", storage.url(f"{paths.JOBS_DIR}/{name}"))
        job = Job(spec, framework_key, place)
        package.upload(head, job)
        unit = Unit(head, UNIT + name, place.folder)
        with stopping_signals():
            try:
                unit.start(script(spec, cluster, place), user=paths.JOB_USER)
                console.print(f"job      {name} on {head.node.name}; full log: {unit.log}", soft_wrap=True)
            except KeyboardInterrupt:
                _kill(cluster, name, console)
                raise
            return _finish(cluster, link, job, console, results)


def attach(cluster: Cluster, job: str, console: Console, results: Path) -> Summary | None:
    """Follow a job that runs or has ended, and bring its results back. Results as `run_job`.

    Raises:
        JobError: there is no such job, or as `run_job`.
        Unreachable: the head does not answer.
    """
    with Link(cluster) as link, stopping_signals():
        head = link.remote
        kept = one_job(head, job)
        return _finish(cluster, link, kept.job, console, results)


def kill(cluster: Cluster, job: str, console: Console) -> None:
    """End a job that runs, with everything that it has started; says so when it has ended already.

    Raises:
        JobError: there is no such job, or a process of it survives.
        Unreachable: the head does not answer.
    """
    with connect(cluster, cluster.head) as head:
        kept = one_job(head, job)
        # The head's record may be of a follower that has given up, and not of what YARN runs.
        runs_on = isinstance(cluster.scheduler, Yarn) and bool(yarn.unfinished(head, cluster, job))
    if kept.active or kept.state == "lost" or runs_on:
        _kill(cluster, job, console)
    else:
        console.print(f"job      {job} has ended already: {kept.state}")


def _finish(cluster: Cluster, link: Link, job: Job, console: Console, results: Path) -> Summary | None:
    """Follow the unit to its end and bring back what it left."""
    place = job.place
    view, code = _follow(cluster, link, job, console)
    if code is None:
        console.print(f"job      {place.id} runs on; follow it with: {_attach(cluster, job)}", soft_wrap=True)
        return None
    try:
        return _conclude(cluster, link, job, view, code=code, console=console, folder=results / place.id)
    except KeyboardInterrupt:
        why = "it has ended, and its results are not all here"
        raise JobError(f"job {place.id}", why, f"Run `{_attach(cluster, job)}`, which brings them.") from None


def _attach(cluster: Cluster, job: Job) -> str:
    return f"fab attach {job.place.id} --stack {cluster.stack}"


def _conclude(
    cluster: Cluster, link: Link, job: Job, view: View, *, code: int, console: Console, folder: Path
) -> Summary:
    """Bring back what a job left that has ended, or say why it failed."""
    place = job.place
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "job.log"
    with suppress(CommandFailed):
        link.remote.get(f"{place.folder}/log", log)
    if code != 0:
        if isinstance(cluster.scheduler, Yarn) and code == LOST:
            # A head that was rebooted has no ResourceManager yet, and what it ran goes with it.
            with suppress(ServiceDown):
                yarn.kill(link.remote, cluster, place.id)
        sweep(cluster, place.id)
        if code == KILLED:
            raise JobError(f"job {place.id}", "it was killed", "Submit it again when you like.")
        if code == LOST:
            raise JobError(
                f"job {place.id}",
                f"its driver was killed, or {link.remote.node.name} went down",
                f"Run `fab doctor --stack {cluster.stack}`. The log until then: {log}",
            )
        text = log.read_text(errors="replace") if log.exists() else ""
        raise _explained(
            link.remote, cluster, place.id, view.failure(place.id, code, str(log), text, cluster.stack)
        )
    summary = _bring_back(link.remote, cluster, job, view, folder)
    # Executors leave a moment after their driver.
    sweep(cluster, place.id)
    console.print(summary.table())
    console.print(f"results  {folder}/", soft_wrap=True)
    return summary


def _explained(head: Remote, cluster: Cluster, job: str, error: JobError) -> JobError:
    """The failure, with what only the cluster manager knows: why it gave too few executors."""
    if isinstance(cluster.scheduler, Yarn) and NOT_GRANTED in error.given:
        with suppress(ServiceDown):
            reason = yarn.explain(head, cluster, job)
            if reason:
                return JobError(error.given, f"{error.why}: {reason}", error.fix)
    return error


def _follow(cluster: Cluster, link: Link, job: Job, console: Console) -> tuple[View, int | None]:
    """(what was seen, exit code); None when the user detached."""
    place = job.place
    while True:
        unit, view = Unit(link.remote, UNIT + place.id, place.folder), View(console)
        try:
            with view:
                events = f"{place.folder}/{EVENTS}"
                return view, unit.follow(view.line, extra_file=events, reconnect=link.reconnect)
        except Unreachable as error:
            raise _runs_on(cluster, job, error) from error
        except KeyboardInterrupt as stop:
            try:
                # The interrupt may have left half an answer on the old connection.
                link.reconnect()
            except Unreachable as error:
                raise _runs_on(cluster, job, error) from error
            answer = "kill" if isinstance(stop, Terminated) else _ask(console, place.id)
        if answer == "detach":
            return view, None
        if answer == "kill":
            _kill(cluster, place.id, console)
            raise JobError(f"job {place.id}", "it was killed, as you asked", "Submit it again when you like.")


def _runs_on(cluster: Cluster, job: Job, error: Unreachable) -> Unreachable:
    """A head that is out of reach, told to who follows a job: to submit it again would make another one."""
    fix = f"The job runs on there; when the head answers again: `{_attach(cluster, job)}`."
    return Unreachable(f"job {job.place.id}: {error.given}", error.why, fix)


def _bring_back(head: Remote, cluster: Cluster, job: Job, view: View, folder: Path) -> Summary:
    """Copy the features here, compute what they say, and write it beside them."""
    began = time.monotonic()
    place, lines = job.place, list[str]()
    if job.spec.features:
        output = f"{place.folder}/features"
        storage = SharedStorage(head, cluster.shared_storage)
        storage.fetch(place.output.removeprefix(cluster.shared_storage), output)
        head.run(
            f"cat {shlex.quote(output)}/part-* >{shlex.quote(output)}.jsonl; rm -rf {shlex.quote(output)}"
        )
        head.get(f"{output}.jsonl", folder / "features.jsonl")
        lines = (folder / "features.jsonl").read_text().splitlines()
    summary = summarise(place.id, job.spec, job.framework, lines, view.events)
    summary.seconds["bring back"] = round(time.monotonic() - began, 3)
    summary.write(folder)
    return summary


def _ask(console: Console, job: str) -> str:
    if not console.is_terminal:
        return "kill"
    try:
        while True:
            answer = (
                console.input(f"\njob {job}: [b]d[/b]etach, [b]k[/b]ill, or [b]g[/b]o on? ").strip().lower()
            )
            for word in ("detach", "kill", "go on"):
                if answer and word.startswith(answer):
                    return word
    except (KeyboardInterrupt, EOFError):
        return "kill"


def _kill(cluster: Cluster, job: str, console: Console) -> None:
    """Stop the unit, then make sure on every node that nothing of the job is left."""
    # Once begun it is finished, however often people press Ctrl-C meanwhile.
    with uninterrupted():
        console.print(f"job      {job}: killing")
        with connect(cluster, cluster.head) as head:
            # Whoever follows it is told that it was killed, not that it was lost.
            head.run(
                f"cd {shlex.quote(f'{paths.JOBS}/{job}')} && {{ [ -e status ] || echo {KILLED} >status; }}"
            )
            Unit(head, UNIT + job, f"{paths.JOBS}/{job}").stop()
            try:
                if isinstance(cluster.scheduler, Yarn):
                    yarn.kill(head, cluster, job)
            finally:
                looked_at = sweep(cluster, job)
    unknown = [node.name for node in cluster.nodes if node.name not in looked_at]
    rest = f"; not looked at: {', '.join(unknown)}" if unknown else ""
    console.print(f"job      {job} is gone from {', '.join(looked_at)}{rest}")
