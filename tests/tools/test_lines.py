"""Lines of progress of several commands on one terminal."""

from __future__ import annotations

import io
import re
import sys

import pytest

from tools import lines
from tools.lines import Line, screen


class Terminal(io.StringIO):
    """A terminal that records what is written to it."""

    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Write to a terminal from now on; not in a fixture, after which pytest sets its own output."""
    there = Terminal()
    monkeypatch.setattr(sys, "stdout", there)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(lines, "REPEAT_S", 0.0)
    monkeypatch.setattr(lines, "_columns", lambda: 60)
    return there


def shown(terminal: Terminal) -> list[str]:
    """Return what stands on the terminal, by the few sequences that are written."""
    rows, row = [""], 0
    for part in re.split(r"(\r\x1b\[K|\x1b\[A\x1b\[K|\n)", terminal.getvalue()):
        if part == "\n":
            row += 1
            rows = rows if row < len(rows) else [*rows, ""]
        elif part == "\x1b[A\x1b[K":
            row -= 1
            rows[row] = ""
        elif part == "\r\x1b[K":
            rows[row] = ""
        else:
            rows[row] += part
    return rows


def test_each_command_has_a_line_and_ended_ones_stand_above(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    pip, go = Line("Python packages"), Line("Pulumi CLI, compiling")
    pip.show("boto3")
    go.show("17 of at most 90 packages")
    assert [re.sub(r"\d+ s", "0 s", row) for row in shown(terminal)] == [
        "  Python packages … 0 s  boto3",
        "  Pulumi CLI, compiling … 0 s  17 of at most 90 packages",
    ]
    screen.print("  packages  present")
    pip.end("done")
    assert [re.sub(r"\d+ s", "0 s", row) for row in shown(terminal)] == [
        "  packages  present",
        "  Python packages: done (0 s)",
        "  Pulumi CLI, compiling … 0 s  17 of at most 90 packages",
    ]
    go.end("failed")
    assert shown(terminal)[-2:] == ["  Pulumi CLI, compiling: failed (0 s)", ""]


def test_a_line_longer_than_the_terminal_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    line = Line("Pulumi CLI")
    line.show("x" * 200)
    assert len(shown(terminal)[-1]) == 60
    line.end("done")


def test_no_line_stands_where_the_user_is_asked_something(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    line = Line("Python packages")
    assert screen.alone(lambda: shown(terminal) == [""])
    assert len(shown(terminal)) == 1
    assert shown(terminal)[0].startswith("  Python packages …")
    line.end("done")


def test_without_a_terminal_each_command_has_a_line_at_its_start_and_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = Line("first"), Line("second")
    first.show("a step")
    second.end("done")
    first.end("failed")
    assert capsys.readouterr().out == "  first …\n  second …\n  second: done (0 s)\n  first: failed (0 s)\n"
