from __future__ import annotations

import io

from rich.console import Console

from bootstrap.engine.command import Command
from bootstrap.engine.recap import NodeRecap, Progress, Recap

STEP = Command("hadoop", "Start the NameNode", "true", "# start hdfs-namenode\nfalse", secrets=("hush",))


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=terminal, color_system=None)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def test_the_recap_has_a_line_per_node() -> None:
    recap = Recap((NodeRecap("head", 3, 2, 0, 0, 1.25), NodeRecap("w1", 1, 0, 1, 3, 0.5)), 1.3)
    out = console()
    out.print(recap.table())
    lines = [line.split() for line in text(out).splitlines()]
    assert lines == [
        ["node", "ok", "changed", "failed", "skipped", "seconds"],
        ["head", "3", "2", "0", "0", "1.2"],
        ["w1", "1", "0", "1", "3", "0.5"],
    ]
    assert (recap.changed, recap.failed) == (2, 1)


def test_a_dry_runs_recap_says_would_change() -> None:
    out = console()
    out.print(Recap((NodeRecap("head", changed=1),), 0.1, dry_run=True).table())
    assert "would change" in text(out)


def test_without_a_terminal_only_changes_and_failures_get_a_line() -> None:
    out = console()
    with Progress(out, ["head", "worker1"]) as progress:
        progress.say("head", "hadoop: x", number=1, total=3)
        progress.ended("head", STEP, "ok", 0.1)
        progress.ended("head", STEP, "changed", 2.04)
    assert text(out).splitlines() == ["head     changed hadoop: Start the NameNode (2.0 s)"]


def test_a_terminal_shows_one_live_line_per_node() -> None:
    out = console(terminal=True)
    with Progress(out, ["head", "w1"]) as progress:
        progress.say("head", "hadoop: Start the NameNode", number=2, total=12)
        progress.say("w1", "done", over=True)
        shown = Console(file=io.StringIO(), width=120)
        shown.print(progress)
    lines = [line.split() for line in text(shown).splitlines()]
    assert lines == [["head", "2/12", "hadoop:", "Start", "the", "NameNode", "0", "s"], ["w1", "done"]]


def test_a_failure_shows_command_last_lines_and_what_to_type() -> None:
    out = console()
    with Progress(out, ["head"]) as progress:
        progress.failed("head", "role 'a', step 'b': status 1", "start x", ["one", "[two]"], "Full log: /x.")
    assert text(out).splitlines() == [
        "head: role 'a', step 'b': status 1",
        "  command: start x",
        "  │ one",
        "  │ [two]",
        "  Full log: /x.",
    ]


def test_a_plan_shows_no_secret() -> None:
    out = console()
    with Progress(out, ["head"]) as progress:
        progress.would_change("head", [Command("r", "s", "true", "# echo hush", secrets=("hush",))])
    assert text(out) == "head  would run r: s  echo ***\n"
