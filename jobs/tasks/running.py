"""Fabric tasks of jobs that run or have ended."""

from __future__ import annotations

from fabric import task
from invoke.context import Context

from bootstrap.console import (
    STACK_HELP,
    console,
    expected_errors_in_one_line,
    print_piped,
    print_whole,
)
from bootstrap.tasks import cluster_of, reading_of
from jobs.tasks.common import JOB_HELP, RESULTS, backends_of, check_job


@task(positional=["job"], help={"job": JOB_HELP, "stack": STACK_HELP})
@expected_errors_in_one_line
def attach(_: Context, job: str, stack: str | None = None) -> None:
    """Follow a job that was left running and fetch its results."""
    check_job("attach", job)
    with backends_of(stack) as backends:
        from jobs.run.run import attach as attach_to

        attach_to(backends, job, console, RESULTS)


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def status(_: Context, stack: str | None = None) -> None:
    """List running and ended jobs with their progress."""
    with backends_of(stack) as backends:
        from jobs.run.status import status as status_table

        print_whole(status_table(backends))


@task(
    positional=["job"],
    help={
        "job": JOB_HELP,
        "executor": "show this executor's log instead of the driver's",
        "follow": "follow the log until the job ends",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def logs(
    _: Context, job: str, executor: int | None = None, follow: bool = False, stack: str | None = None
) -> None:
    """Show the log of a job's driver or of an executor."""
    check_job("logs", job)
    with backends_of(stack) as backends:
        from jobs.run.logs import show

        show(backends, job, print_piped, executor=executor, follow=follow)


@task(
    positional=["job"],
    help={"job": JOB_HELP, "follow": "draw it again as the job runs, until it ends", "stack": STACK_HELP},
)
@expected_errors_in_one_line
def curve(_: Context, job: str, follow: bool = False, stack: str | None = None) -> None:
    """Draw the training curve of a running or ended job; print where it lies."""
    check_job("curve", job)
    with backends_of(stack) as backends:
        from jobs.run.curve import draw

        draw(backends, job, console, RESULTS, follow=follow)


@task(positional=["job"], help={"job": JOB_HELP, "stack": STACK_HELP})
@expected_errors_in_one_line
def kill(_: Context, job: str, stack: str | None = None) -> None:
    """Kill a running job and all its processes."""
    check_job("kill", job)
    with backends_of(stack) as backends:
        from jobs.run.run import kill as kill_job

        kill_job(backends, job, console, RESULTS)


@task(help={"dry_run": "list them, remove nothing", "stack": STACK_HELP})
@expected_errors_in_one_line
def clean(_: Context, dry_run: bool = False, stack: str | None = None) -> None:
    """Remove what ended jobs left on the nodes and in storage; print how many bytes."""
    reading = reading_of(stack)
    from jobs.run.clean import clean as remove

    remove(cluster_of(reading, wait=False), console, dry_run=dry_run)
