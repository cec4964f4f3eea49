"""Odd output of nodes, and output without end: followed in little memory, taken for nothing else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from bootstrap.ssh.remote import KEPT, _Collector
from bootstrap.ssh.unit import LOST, Unit, UnitState
from tests.bootstrap.local_node import LocalNode

ODD = ("", "\n", "ok", "1 of 2", "-1", "4711", "\u0661", "0x1", "1\n2", "0\nx", "9" * 5000)
"""Texts of a status file that no unit has written."""


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    return LocalNode(tmp_path)


@pytest.fixture
def unit(node: LocalNode) -> Unit:
    return Unit(node, "job-1", str(node.folder / "unit"))


@pytest.mark.parametrize("text", ODD)
def test_a_status_file_with_other_text_does_not_end_a_unit(unit: Unit, node: LocalNode, text: str) -> None:
    gate = node.folder / "gate"
    unit.start(f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 3")
    (Path(unit.folder) / "status").write_text(text)

    assert unit.state() == UnitState(running=True, exit_code=None)

    gate.touch()
    assert unit.follow(lambda _: None) == 3


def test_a_unit_that_is_gone_and_left_other_text_was_lost(unit: Unit, node: LocalNode) -> None:
    unit.start("echo here; sleep 600")
    node.run(f"while [ ! -s {unit.log} ]; do sleep 0.02; done", timeout=20)
    unit.stop()
    (Path(unit.folder) / "status").write_text("Traceback")
    lines: list[str] = []

    assert unit.state() == UnitState(running=False, exit_code=None)
    assert unit.follow(lines.append) == LOST
    assert lines == ["here"]


def test_a_status_that_ends_with_its_line_or_without_is_a_number(unit: Unit) -> None:
    unit.start("exit 0")
    assert unit.follow(lambda _: None) == 0
    for text in ("143", "143\n"):
        (Path(unit.folder) / "status").write_text(text)
        assert unit.state().exit_code == 143


def test_only_a_line_feed_ends_a_line(unit: Unit) -> None:
    odd = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    (Path(unit.folder)).mkdir()
    (Path(unit.folder) / "text").write_text(f"{odd}\n\nwith a return\r\nlast", encoding="utf-8")
    unit.start("cat text")
    lines: list[str] = []

    unit.follow(lines.append)

    assert lines == [odd, "", "with a return", "last"]


def test_of_what_is_passed_on_the_end_is_kept() -> None:
    passed = [0]

    def count(_line: str) -> None:
        passed[0] += 1

    collector = _Collector(count)
    chunk = (b"a line of a log that is followed for days".ljust(4095) + b"\n") * 16
    tracemalloc.start()
    for _ in range(500):
        collector.feed(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    collector.feed(b"the end")
    collector.close()

    assert passed == [500 * 16 + 1]
    assert peak < 4 * KEPT
    assert KEPT <= len(collector.text()) <= KEPT + len(chunk)
    assert collector.text().endswith("the end")


def test_what_is_not_passed_on_is_kept_whole() -> None:
    collector = _Collector(None)
    for _ in range(3):
        collector.feed(b"x" * KEPT)
    assert len(collector.text()) == 3 * KEPT


def test_a_line_without_end_is_passed_on_in_pieces() -> None:
    lines: list[str] = []
    collector = _Collector(lines.append)
    for _ in range(3 * 16):
        collector.feed(b"x" * (KEPT // 16))
    collector.close()

    assert [len(line) for line in lines] == [KEPT] * 3
