"""Terminal output, and the exit of commands that fail as expected, for every package's tasks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

from invoke.exceptions import Exit
from rich.console import Console
from rich.table import Table

from bootstrap.errors import CaffeSparkError

STACK_HELP: Final = "stack to work on; else the selected one, else dev"
INTERRUPTED: Final = 130
"""A shell's own status for a command that Ctrl-C ended."""
WIDTH: Final = 250
"""Columns for a table of ids and URIs."""

Body = TypeVar("Body", bound=Callable[..., Any])
console = Console(highlight=False)


def expected_errors_in_one_line(body: Body) -> Body:
    """Turn an expected failure into one line and exit status 1; a bug keeps its traceback."""

    @functools.wraps(body)
    def run(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the task takes
        try:
            return body(*arguments, **options)
        except CaffeSparkError as error:
            raise Exit(str(error), code=1) from error
        except KeyboardInterrupt as error:
            raise Exit("Interrupted. The same command goes on from here.", code=INTERRUPTED) from error

    return run  # type: ignore[return-value]


def print_whole(table: Table) -> None:
    """Print a table without cutting ids and URIs, which people copy; a narrow terminal wraps its lines."""
    Console(width=max(console.width, WIDTH)).print(table)


def print_line(console: Console, line: str) -> None:
    """Print a line as it is: no markup, no highlighting, wrapped by the terminal alone."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)
