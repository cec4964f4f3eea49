"""Runs a job on a cluster and brings its results back.

The job is a unit on the head: it outlives this process. Ctrl-C on a terminal asks whether to detach or to
kill; without a terminal, and on SIGTERM, it is killed. Killed means that no process of it is left anywhere.
"""

from __future__ import annotations

import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError, ServiceDown
from bootstrap.remote import Remote, connect
from bootstrap.storage import SharedStorage
from bootstrap.unit import LOST, Unit
from jobs import package, preflight, yarn
from jobs.clean import sweep
from jobs.package import Job
from jobs.records import KILLED, UNIT, one_job
from jobs.spec import JobSpec
from jobs.submit import EVENTS, JobPlace, script
from jobs.summary import Summary, summarise
from jobs.view import View

NOT_GRANTED = "executors requested"
"""The trainer's words (jobs/trainer/checks.py) when fewer registered in time."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM."""


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
    with _Link(cluster) as link:
        head = link.remote
        storage = SharedStorage(head, cluster.shared_storage)
        storage.require_writable()
        preflight.spark(head, cluster, spec)
        name = f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        place = JobPlace(name, f"{paths.JOBS}/{name}", storage.url(f"{paths.JOBS_DIR}/{name}"))
        job = Job(spec, framework_key, place)
        package.upload(head, job)
        unit = Unit(head, UNIT + name, place.folder)
        with _stopping_signals():
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
    with _Link(cluster) as link, _stopping_signals():
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
    if kept.active or kept.state == "lost":
        _kill(cluster, job, console)
    else:
        console.print(f"job      {job} has ended already: {kept.state}")


def _finish(cluster: Cluster, link: _Link, job: Job, console: Console, results: Path) -> Summary | None:
    """Follow the unit to its end and bring back what it left."""
    place = job.place
    view, code = _follow(cluster, link, job, console)
    if code is None:
        console.print(f"job      {place.id} runs on; follow it with: fab attach {place.id}", soft_wrap=True)
        return None
    folder = results / place.id
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "job.log"
    with suppress(CommandFailed):
        link.remote.get(f"{place.folder}/log", log)
    if code != 0:
        if cluster.yarn and code == LOST:
            yarn.kill(link.remote, cluster, place.id)
        sweep(cluster, place.id)
        if code == KILLED:
            raise JobError(f"job {place.id}", "it was killed", "Submit it again when you like.")
        if code == LOST:
            raise JobError(
                f"job {place.id}",
                f"its driver was killed, or {link.remote.node.name} went down",
                f"Run `fab doctor`. The log until then: {log}",
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
    if cluster.yarn and NOT_GRANTED in error.given:
        with suppress(ServiceDown):
            reason = yarn.explain(head, cluster, job)
            if reason:
                return JobError(error.given, f"{error.why}: {reason}", error.fix)
    return error


def _follow(cluster: Cluster, link: _Link, job: Job, console: Console) -> tuple[View, int | None]:
    """(what was seen, exit code); None when the user detached."""
    place = job.place
    while True:
        unit, view = Unit(link.remote, UNIT + place.id, place.folder), View(console)
        try:
            with view:
                events = f"{place.folder}/{EVENTS}"
                return view, unit.follow(view.line, extra_file=events, reconnect=link.reconnect)
        except KeyboardInterrupt as stop:
            # The interrupt may have left half an answer on the old connection.
            link.reconnect()
            answer = "kill" if isinstance(stop, _Terminated) else _ask(console, place.id)
        if answer == "detach":
            return view, None
        if answer == "kill":
            _kill(cluster, place.id, console)
            raise JobError(f"job {place.id}", "it was killed, as you asked", "Submit it again when you like.")


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
    with _signals({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}):
        console.print(f"job      {job}: killing")
        with connect(cluster, cluster.head) as head:
            # Whoever follows it is told that it was killed, not that it was lost.
            head.run(
                f"cd {shlex.quote(f'{paths.JOBS}/{job}')} && {{ [ -e status ] || echo {KILLED} >status; }}"
            )
            Unit(head, UNIT + job, f"{paths.JOBS}/{job}").stop()
            if cluster.yarn:
                yarn.kill(head, cluster, job)
        sweep(cluster, job)
    console.print(f"job      {job} is gone from {', '.join(node.name for node in cluster.nodes)}")


class _Link:
    """The connection to the head, made again when it breaks."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._context: AbstractContextManager[Remote] | None = None
        self.remote: Remote

    def __enter__(self) -> _Link:
        self.reconnect()
        return self

    def __exit__(self, *_: object) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None

    def reconnect(self) -> Remote:
        """Give up the connection and make another."""
        self.__exit__()
        context = connect(self._cluster, self._cluster.head)
        self.remote = context.__enter__()
        self._context = context
        return self.remote


def _stopping_signals() -> AbstractContextManager[None]:
    """SIGTERM raises here, as Ctrl-C does."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    return _signals({signal.SIGTERM: stop})


Handler = Callable[[int, FrameType | None], object] | int | None


@contextmanager
def _signals(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    """Handle signals so for a while. Only the main thread may; in another one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
