"""Terminal output and exit status of Fabric tasks.

Text of nodes, such as the output of jobs, is printed with its control characters escaped: a terminal obeys
them, and they can hide lines, change its title, or type into it.
"""

from __future__ import annotations

import functools
import io
import os
import re
import signal
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from invoke.exceptions import Exit
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bootstrap.errors import CaffeSparkError

STACK_HELP: Final = "stack to use; default: the selected one, else dev"
INTERRUPTED: Final = 130
"""Exit status of a command that Ctrl-C ended, as in shells."""
PIPE_CLOSED: Final = 128 + signal.SIGPIPE
UNLIMITED: Final = 100_000
"""Columns of a pipe or a file, which has none: nothing is wrapped for the sake of a line's length."""

_COMMAND: Final = re.compile(
    r"`("
    r"(?:fab (?:bootstrap|build-headnode|submit-mnist|submit|notebook|doctor|workers|script-actions|status"
    r"|logs|attach|curve|kill|resume|clean|ssh|get|put|ui|data|convert|drill-spot|support-bundle)"
    r"|pulumi (?:up|preview|refresh|destroy|cancel))"
    r"\b(?!-)(?:(?!--stack)[^`])*)`"
)
"""Commands for one stack, in backticks, that name none."""

_KEPT: Final = "\t\n"
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder those beside them."""
_OBEYED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, halves of pairs, which cannot be printed, and separators."""
_PLAIN: Final = re.compile(r"[\t\n\x20-\x7e]*")

Body = TypeVar("Body", bound=Callable[..., Any])


def visible(text: str) -> str:
    """Return the text with control characters and those that reorder text escaped, as in `\\x1b`.

    Tabs and line feeds stay.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _KEPT or not (character in _BIDI or unicodedata.category(character) in _OBEYED):
        return character
    return character.encode("unicode_escape").decode()


class TerminalConsole(Console):
    """A console that escapes control characters in all text, and takes no text for markup.

    Its own styles, and its own control of the terminal, stay. Without a terminal it wraps nothing, unless
    `width` says so: an id that is broken over two lines is of no use to `grep`, nor to who pastes it.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of Console
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})
        self._fixed = options.get("width") is not None

    @property
    def size(self) -> ConsoleDimensions:
        """Size of the terminal. Rich would take that of stdin's, or 80 columns, for a pipe."""
        found = super().size
        if self._fixed or _is_terminal(self):
            return found
        return ConsoleDimensions(UNLIMITED, found.height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size
        self._fixed = True

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        """Escape text before `Text` drops some of the characters."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape what is not text of this console, such as a `Text` made elsewhere."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


console = TerminalConsole()


def expected_errors_in_one_line(body: Body) -> Body:
    """Report expected failures in one line with exit status 1; bugs keep their traceback."""

    @functools.wraps(body)
    def run(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the task takes
        try:
            return body(*arguments, **options)
        except CaffeSparkError as error:
            raise Exit(visible(for_stack(str(error), options.get("stack"))), code=1) from error
        except KeyboardInterrupt as error:
            raise Exit("Interrupted. Rerun the command to continue.", code=INTERRUPTED) from error

    return run  # type: ignore[return-value]


def for_stack(text: str, stack: str | None) -> str:
    """Return the text with `--stack` in each command that lacks it; None: the selected stack, so as it is.

    Errors are raised where nobody knows which stack the user has named.
    """
    return _COMMAND.sub(rf"`\1 --stack {stack}`", text) if stack else text


def print_whole(table: Table, on: Console | None = None) -> None:
    """Print a table without truncating or wrapping ids and URIs; a narrow terminal wraps its lines."""
    target = on or console
    needed = Measurement.get(target, target.options.update(max_width=UNLIMITED), table).maximum
    if needed <= target.width:
        target.print(table)
        return
    wide = TerminalConsole(
        width=needed, file=target.file, force_terminal=target.is_terminal, no_color=target.no_color
    )
    wide.print(table)


def page_of(table: Table) -> str:
    """Return a table as text, whole, as a pipe gets it."""
    page = io.StringIO()
    print_whole(table, TerminalConsole(file=page))
    return page.getvalue()


def _is_terminal(one: Console) -> bool:
    """Return whether a console writes to a terminal; FORCE_COLOR makes no terminal of a pipe."""
    try:
        return one.file.isatty()
    except (AttributeError, ValueError):  # a closed file
        return False


def print_piped(line: str) -> None:
    """Print a line, from any thread; end the process, as SIGPIPE would, when nobody reads any more.

    An example is `fab logs JOB | head`. Python ignores SIGPIPE, and an exception would
    only end the thread.
    """
    try:
        print(visible(line), flush=True)
    except BrokenPipeError:
        os._exit(PIPE_CLOSED)


def print_line(console: Console, line: str) -> None:
    """Print a line verbatim: no markup, no highlighting, wrapped only by the terminal."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)
