"""Expected errors of tasks, and the commands that they name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from invoke.exceptions import Exit

from bootstrap.console import PIPE_CLOSED, expected_errors_in_one_line, for_stack
from bootstrap.errors import StackError


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Run `fab bootstrap`.", "Run `fab bootstrap --stack other`."),
        ("Run `fab logs job-1 --follow`.", "Run `fab logs job-1 --follow --stack other`."),
        (
            "Run `pulumi up --refresh`, then `fab doctor`.",
            "Run `pulumi up --refresh --stack other`, then `fab doctor --stack other`.",
        ),
        ("Run `pulumi up --stack third`.", "Run `pulumi up --stack third`."),
        ("Run `fab --list`.", "Run `fab --list`."),
        ("Run `make setup`; `fab bootstrapping` is none.",) * 2,
    ],
)
def test_a_command_that_an_error_names_goes_to_the_stack_that_was_named(said: str, shown: str) -> None:
    assert for_stack(said, "other") == shown
    assert for_stack(said, None) == said


def test_a_task_for_another_stack_names_it_in_its_next_command() -> None:
    @expected_errors_in_one_line
    def task(*, stack: str | None = None) -> None:
        raise StackError("x", "it is down", "Run `fab bootstrap`.")

    with pytest.raises(Exit, match="Run `fab bootstrap --stack other`"):
        task(stack="other")
    with pytest.raises(Exit, match="Run `fab bootstrap`"):
        task()


def test_output_that_nobody_reads_any_more_ends_the_command_without_a_traceback() -> None:
    program = (
        "import threading; from bootstrap.console import print_piped\n"
        "threading.Thread(target=lambda: [print_piped('line') for _ in iter(int, 1)]).start()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    assert writer.stdout.readline() == "line\n"
    writer.stdout.close()
    assert writer.stderr.read() == ""
    assert writer.wait(30) == PIPE_CLOSED
