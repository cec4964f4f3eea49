"""Terminal output and exit status of Fabric tasks."""

from __future__ import annotations

import functools
import os
import re
import signal
from collections.abc import Callable
from typing import Any, Final, TypeVar

from invoke.exceptions import Exit
from rich.console import Console
from rich.table import Table

from bootstrap.errors import CaffeSparkError

STACK_HELP: Final = "stack to use; default: the selected one, else dev"
INTERRUPTED: Final = 130
"""Exit status of a command that Ctrl-C ended, as in shells."""
PIPE_CLOSED: Final = 128 + signal.SIGPIPE
WIDTH: Final = 250
"""Columns of a table with ids and URIs."""

_COMMAND: Final = re.compile(
    r"`("
    r"(?:fab (?:bootstrap|build-headnode|submit-mnist|doctor|workers|script-actions|status|logs|attach|kill)"
    r"|pulumi (?:up|preview|refresh|destroy|cancel))"
    r"\b(?!-)(?:(?!--stack)[^`])*)`"
)
"""Commands for one stack, in backticks, that name none."""

Body = TypeVar("Body", bound=Callable[..., Any])
console = Console(highlight=False)


def expected_errors_in_one_line(body: Body) -> Body:
    """Report expected failures in one line with exit status 1; bugs keep their traceback."""

    @functools.wraps(body)
    def run(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the task takes
        try:
            return body(*arguments, **options)
        except CaffeSparkError as error:
            raise Exit(for_stack(str(error), options.get("stack")), code=1) from error
        except KeyboardInterrupt as error:
            raise Exit("Interrupted. Rerun the command to continue.", code=INTERRUPTED) from error

    return run  # type: ignore[return-value]


def for_stack(text: str, stack: str | None) -> str:
    """Return the text with `--stack` in each command that lacks it; None: the selected stack, so as it is.

    Errors are raised where nobody knows which stack the user has named.
    """
    return _COMMAND.sub(rf"`\1 --stack {stack}`", text) if stack else text


def print_whole(table: Table) -> None:
    """Print a table without truncating ids and URIs; a narrow terminal wraps its lines."""
    Console(width=max(console.width, WIDTH)).print(table)


def print_piped(line: str) -> None:
    """Print a line, from any thread; end the process, as SIGPIPE would, when nobody reads any more.

    An example is `fab logs JOB | head`. Python ignores SIGPIPE, and an exception would
    only end the thread.
    """
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os._exit(PIPE_CLOSED)


def print_line(console: Console, line: str) -> None:
    """Print a line verbatim: no markup, no highlighting, wrapped only by the terminal."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)
