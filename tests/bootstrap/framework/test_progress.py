"""Progress of a build, read from its log."""

from __future__ import annotations

import io

from rich.console import Console

from bootstrap.framework.progress import BuildBar, BuildLog, clock

LOG = """\
step 1/3 build: Install build dependencies
Get:1 http://mirror.test cmake
step 1/3 build: Install build dependencies: changed (38 s)
step 2/3 build: Compile
[  1%] Building CXX object a.o
[ 40%] Building CXX object b.o
[ 38%] Building CXX object c.o
[100%] Built target caffe
step 2/3 build: Compile: changed (181 s)
step 3/3 build: Pack
step 3/3 build: Pack: ok (0 s)
all steps done"""


def _fed(lines: list[str]) -> BuildLog:
    log = BuildLog()
    for line in lines:
        log.feed(line)
    return log


def test_the_percent_is_makes_own_and_never_steps_back() -> None:
    lines = LOG.splitlines()
    assert [_fed(lines[:n]).percent for n in range(3, 10)] == [None, 0, 1, 40, 40, 100, None]


def test_phases_have_the_seconds_of_what_was_done() -> None:
    log = _fed(LOG.splitlines())
    assert log.phases == {"Install build dependencies": 38.0, "Compile": 181.0}
    assert log.failed is None


def test_percent_like_lines_of_other_steps_do_not_count() -> None:
    assert _fed(["step 1/3 build: Configure", "[ 40%] Downloading"]).percent is None


def test_a_failed_step_is_known_by_name_and_status() -> None:
    log = _fed(["step 2/3 build: Compile", "step 2/3 build: Compile: failed with status 2 after 12 s"])
    assert log.failed == ("Compile", 2)


def test_without_a_terminal_each_step_and_quarter_is_one_line() -> None:
    text = io.StringIO()
    with BuildBar(Console(file=text, width=100), expected=200) as bar:
        for line in LOG.splitlines():
            bar.feed(line)
    lines = text.getvalue().splitlines()
    assert [line.partition(" 0:")[0] for line in lines] == [
        "Install build dependencies (1/3)",
        "Compile (2/3) 0 %",
        "Compile (2/3) 40 %",
        "Compile (2/3) 100 %",
        "Pack (3/3)",
    ]
    assert all(line.endswith("of about 3:20") for line in lines)


def test_seconds_are_shown_as_a_clock() -> None:
    assert [clock(0), clock(61.9), clock(3600)] == ["0:00", "1:01", "60:00"]
