"""Forms of arguments that Invoke's parser does not know: `fab ssh [NODE]` and `fab ssh NODE -- COMMAND`.

A positional argument with `optional` may be left out; Invoke requires every positional argument, and gives
`optional` a meaning for flags only. What follows `--` goes to the task's argument `command`; Fabric runs it
on hosts of its own.
"""

from __future__ import annotations

from typing import Any, Final

from fabric.main import program
from invoke.exceptions import Exit
from invoke.parser.parser import ParseMachine

REMAINDER: Final = "command"
"""Name of the argument that takes what follows `--`, joined by blanks, as `ssh` joins it."""
_complete: Final = ParseMachine.complete_context


def _complete_context(machine: Any) -> None:  # noqa: ANN401 - Invoke is untyped
    context = machine.context
    if context is not None:
        for argument in context.missing_positional_args:
            if argument.optional:
                argument.value = ""
        # The core has been parsed before, and tasks after it; the first context of these is the core again.
        rest = getattr(getattr(program, "core", None), "remainder", "")
        if rest and context.name is not None and REMAINDER in context.args:
            context.args[REMAINDER].value = rest
            program.core.remainder = ""
    _complete(machine)


def install() -> None:
    """Teach Invoke's parser these forms, for this process."""
    ParseMachine.complete_context = _complete_context  # type: ignore[method-assign, assignment]


def help_if_asked(task_name: str, argument: str | None) -> None:
    """Print a task's help where Invoke took `--help` for the value of a positional argument.

    Raises:
        Exit: it was printed.
    """
    if argument in {"-h", "--help"}:
        program.print_task_help(task_name)
        raise Exit(code=0)
