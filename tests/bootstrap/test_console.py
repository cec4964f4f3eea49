"""Expected errors of tasks, the commands that they name, and the text of nodes on the terminal."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from invoke.exceptions import Exit
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from bootstrap.console import (
    PIPE_CLOSED,
    TerminalConsole,
    expected_errors_in_one_line,
    for_stack,
    print_line,
    print_piped,
    print_whole,
    visible,
)
from bootstrap.errors import StackError


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Run `fab bootstrap`.", "Run `fab bootstrap --stack other`."),
        ("Run `fab logs job-1 --follow`.", "Run `fab logs job-1 --follow --stack other`."),
        ("Run `fab submit --spec a.yaml`.", "Run `fab submit --spec a.yaml --stack other`."),
        ("Run `fab notebook`.", "Run `fab notebook --stack other`."),
        ("Run `fab submit-mnist`.", "Run `fab submit-mnist --stack other`."),
        ("Run `fab curve job-1`.", "Run `fab curve job-1 --stack other`."),
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\tcolumns\nand é, 日本, 🎉", "plain\tcolumns\nand é, 日本, 🎉"),
        ("\x1b]0;title\x07\x1b[2K", r"\x1b]0;title\x07\x1b[2K"),
        ("10%\r20%\b\x7f", r"10%\r20%\x08\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\u202eb\u2066c\u2069\u200f", r"a\u202eb\u2066c\u2069\u200f"),
        ("a\u2028b\ud800", r"a\u2028b\ud800"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_a_console_escapes_text_in_every_form_and_keeps_its_own_colours() -> None:
    out = io.StringIO()
    console = TerminalConsole(file=out, force_terminal=True, color_system="standard", width=80)
    evil = "e\x1b[2J\r\u202e"
    table = Table(title=evil)
    table.add_column(evil)
    table.add_row(evil)
    table.add_row(Text(evil, style="red"))

    console.print(evil)
    console.print(evil, markup=True)
    console.print(Text.assemble((evil, "red"), evil))
    console.print(table)
    print_line(console, evil)
    with Progress(TextColumn("{task.description}"), console=console) as progress:
        progress.add_task(evil)

    said = out.getvalue()
    assert said.count(r"e\x1b[2J") == 9
    assert "\x1b[2J" not in said
    assert "\u202e" not in said
    assert r"\r" in said
    assert "\x1b[31m" in said


def test_text_that_looks_like_markup_is_printed_as_it_is() -> None:
    out = io.StringIO()
    TerminalConsole(file=out).print("[/b] [link=https://example.org]x[/link] :smile:")

    assert out.getvalue() == "[/b] [link=https://example.org]x[/link] :smile:\n"


def test_lines_for_a_pipe_and_errors_are_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    @expected_errors_in_one_line
    def task() -> None:
        raise StackError("x\x1b[2J", "it is down", "Run it again.")

    print_piped("line\x1b[2J\ud800")
    assert capsys.readouterr().out == "line\\x1b[2J\\ud800\n"
    with pytest.raises(Exit, match=r"x\\x1b\[2J"):
        task()


ID = "subnet-" + "0123456789abcdef" * 12


def listing() -> Table:
    table = Table(box=None)
    for name in ("id", "name"):
        table.add_column(name, overflow="fold")
    table.add_row(ID, "a name of several words, which takes its own room " * 4)
    return table


@pytest.mark.parametrize("columns", [None, "40", "80"])
def test_ids_in_a_table_are_whole_in_a_pipe_whatever_the_terminal_beside_it(
    columns: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    piped = io.StringIO()
    TerminalConsole(file=piped).print(listing())
    header, line = piped.getvalue().splitlines()
    assert header.split() == ["id", "name"]
    assert line.split()[0] == ID
    assert len(line) < 500, "no wider than it has to be"


def test_colours_that_are_forced_make_no_terminal_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    piped = io.StringIO()
    TerminalConsole(file=piped).print(listing())
    assert ID in piped.getvalue()


def test_a_long_line_in_a_pipe_is_one_line() -> None:
    piped = io.StringIO()
    TerminalConsole(file=piped).print(f"node {ID} " * 10)
    assert piped.getvalue().count("\n") == 1


@pytest.mark.parametrize("width", [40, 80, 400])
def test_ids_in_a_whole_table_are_whole_in_a_terminal_of_any_width(width: int) -> None:
    shown = io.StringIO()
    print_whole(listing(), TerminalConsole(file=shown, width=width))
    assert ID in shown.getvalue()
    assert len(shown.getvalue().splitlines()) == 2


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_keeps_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    shown = Terminal()
    console = TerminalConsole(file=shown)
    assert console.width == 60
    console.print("word " * 40)
    assert max(map(len, shown.getvalue().splitlines())) <= 60
