"""Run a job: submit it, follow it, fetch its results to the operator's machine.

The job outlives this process. Ctrl-C on a terminal prompts to detach, kill or go on; without a terminal, and
on SIGTERM, the job is killed. A killed job has no process left on a node that answers (`backends.processes`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bootstrap.console import print_line
from bootstrap.errors import CaffeSparkError, JobError, JobRefused
from jobs.backends.base import LOST, Backend, OnLine
from jobs.backends.registry import Backends
from jobs.job import SubmittedJob
from jobs.report import receipt_text, training
from jobs.report.progress import View
from jobs.report.summary import Summary, rows_of, summarise
from jobs.run import billing, claims, snapshots
from jobs.signals import Terminated, stopping_signals
from jobs.spec import JobSpec
from jobs.trainer.contract import DONE, KILLED, REFUSED, Failed


def run_job(  # noqa: PLR0917
    backend: Backend,
    spec: JobSpec,
    framework: str,
    console: Console,
    results: Path,
    launched: Callable[[], object] = bool,
) -> Summary | None:
    """Submit a job, follow it, and fetch its results into `results`/JOB; `launched` is called in between.

    Returns:
        The job's summary; None when the user detached.

    Raises:
        ConfigError: the cluster is too small for the job.
        JobError: the job was refused (`JobRefused`, if by its own program), failed or was killed.
        ServiceDown: a service that the job needs is unavailable.
        Unreachable: the head or a worker does not answer.
    """
    backend.capacity(spec)
    claims.require_free(backend, spec)
    expected = billing.estimate(backend.document.prices, spec, results)
    if expected is not None:
        print_line(console, receipt_text.estimate_line(expected))
    with stopping_signals():
        try:
            job = backend.launch(spec, framework, _printer(console))
        except KeyboardInterrupt:
            raise _killed(f"job {spec.name}") from None
        launched()
        return _finish(backend, job, console, results)


def attach(backends: Backends, job: str, console: Console, results: Path) -> Summary | None:
    """Follow a running or ended job and fetch its results; returns as `run_job`.

    Raises:
        JobError: there is no such job, or as `run_job`.
        Unreachable: the head does not answer.
    """
    with stopping_signals():
        backend, record = backends.find(job)
        return _finish(backend, record.job, console, results)


def kill(backends: Backends, job: str, console: Console, results: Path) -> None:
    """Kill a running job with all its processes, and print its receipt; or its state if it has ended already.

    Raises:
        JobError: there is no such job, or a process of it survives.
        ServiceDown, Unreachable: the job cannot be ended.
    """
    backend, record = backends.find(job)
    # The record may come from a follower that gave up while the cluster manager still runs the job.
    if record.active or record.state == "lost" or backend.unfinished(record.job):
        _kill(backend, record.job, console)
        _say(console, billing.killed(backend, record.job, results, ran=record.active))
    else:
        console.print(f"job      {job} has ended already: {record.state}")


def _finish(backend: Backend, job: SubmittedJob, console: Console, results: Path) -> Summary | None:
    """Follow a job to its end and fetch its results."""
    attach_again = f"fab attach {job.id} --stack {backend.document.stack}"
    view, code = _follow(backend, job, console, results)
    if code is None:
        console.print(f"job      {job.id} runs on; follow it with: {attach_again}", soft_wrap=True)
        return None
    try:
        return _conclude(backend, job, view, code=code, console=console, results=results)
    except KeyboardInterrupt:
        why = "it has ended, and its results were not fetched completely"
        raise JobError(f"job {job.id}", why, f"Run `{attach_again}` to fetch them.") from None


def _follow(backend: Backend, job: SubmittedJob, console: Console, results: Path) -> tuple[View, int | None]:
    """Return the view and the exit status; the status is None when the user detached."""
    while True:
        view = View(console)
        try:
            with view:
                return view, backend.follow(job, view.line)
        except KeyboardInterrupt as stop:
            answer = "kill" if isinstance(stop, Terminated) else _ask(console, job.id)
        if answer == "detach":
            return view, None
        if answer == "kill":
            _kill(backend, job, console)
            _say(console, billing.killed(backend, job, results))
            stack = backend.document.stack
            raise snapshots.advised(_killed(f"job {job.id}"), job, view.history, code=KILLED, stack=stack)


def _conclude(
    backend: Backend, job: SubmittedJob, view: View, *, code: int, console: Console, results: Path
) -> Summary:
    """Fetch the log and results of an ended job, or raise the reason of its failure."""
    folder = results / job.id
    folder.mkdir(parents=True, exist_ok=True)
    log = backend.bring_log(job, folder / "job.log")
    # Also of a failed job: a loss that diverged is seen there.
    written = training.write(view.curve, job.id, folder)
    if code != DONE:
        backend.clean_up(job, code)
        outcome = {KILLED: "killed", LOST: "lost"}.get(code, "failed")
        about = (backend.document, job, view.history)
        _say(console, written + billing.unsuccessful(*about, outcome=outcome, results=results))
        error = _failure(backend, job, view, code=code, text=log.text, where=log.where)
        if code == LOST:
            # Who was killed has written no reason.
            with (folder / "job.log").open("a") as file:
                file.write(f"caffe-spark: {error}\n")
        raise error
    began = time.monotonic()
    features = folder / "features.jsonl"
    if job.spec.fetched:
        backend.bring_features(job, features)
    rows = rows_of(features) if job.spec.fetched else ()
    summary = summarise(job.id, job.spec, job.framework, rows, view.history)
    summary.seconds["bring back"] = round(time.monotonic() - began, 3)
    paid = billing.of_job(backend.document, job, view.history, outcome="done", results=results)
    summary.receipt.update(paid.document())
    summary.write(folder)
    # Executors exit a moment after their driver.
    backend.clean_up(job, code)
    console.print(summary.table())
    billing.show(console, paid)
    _say(console, written)
    if job.spec.script:
        console.print(f"output   of {job.spec.script.name}: {log.where}", soft_wrap=True)
    elif job.spec.features and not job.spec.fetched:
        output = job.spec.output or job.place.output
        console.print(f"features {output} ({job.spec.outputFormat})", soft_wrap=True)
    console.print(f"results  {folder}/", soft_wrap=True)
    return summary


def _failure(
    backend: Backend, job: SubmittedJob, view: View, *, code: int, text: str, where: str
) -> JobError:
    """Return the error of a failed job, with the cluster manager's explanation where it has one."""
    stack = backend.document.stack
    error: JobError
    if code == KILLED:
        error = JobError(f"job {job.id}", "it was killed", "Submit it again to rerun it.")
    elif code == LOST:
        error = JobError(
            f"job {job.id}",
            _why_lost(backend, job),
            f"Run `fab doctor --stack {stack}`. {snapshots.LOG}{where}",
        )
    else:
        error = failed = view.failure(job.id, code, where, text, stack)
        if reason := backend.explain(job, view.history.last(Failed)):
            error = failed.because(reason)
    error = snapshots.advised(error, job, view.history, code=code, stack=stack)
    return JobRefused(error.given, error.why, error.fix) if code == REFUSED else error


def _why_lost(backend: Backend, job: SubmittedJob) -> str:
    try:
        return backend.why_lost(job)
    except CaffeSparkError as error:
        return f"its driver was killed, or {backend.driver} went down, which does not say ({error.why})"


def _kill(backend: Backend, job: SubmittedJob, console: Console) -> None:
    console.print(f"job      {job.id}: killing")
    console.print(f"job      {job.id} {backend.kill(job)}", soft_wrap=True)


def _killed(job: str) -> JobError:
    return JobError(job, "it was killed, as you asked", "Submit it again to rerun it.")


def _say(console: Console, lines: list[str]) -> None:
    for line in lines:
        print_line(console, line)


def _printer(console: Console) -> OnLine:
    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False, highlight=False)

    return say


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
