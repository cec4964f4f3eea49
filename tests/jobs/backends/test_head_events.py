"""Events of a job on the head, whatever stands in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.backends import head_events
from jobs.trainer import contract
from jobs.trainer.contract import dump
from tests.bootstrap.local_node import LocalNode

KINDS = (contract.Display, contract.Validation)


class Head:
    def __init__(self, tmp_path: Path) -> None:
        (tmp_path / "node").mkdir()
        self.node, self.file = LocalNode(tmp_path / "node"), tmp_path / "events.jsonl"

    def read(self) -> tuple[list[str], bool]:
        lines = list[str]()
        whole = head_events.read(self.node, str(self.file), KINDS, lines.append)
        return lines, whole


@pytest.fixture
def head(tmp_path: Path) -> Head:
    return Head(tmp_path)


def test_the_lines_of_the_kinds_that_are_asked_for_come(head: Head) -> None:
    wanted = [dump(contract.Display(7, 9)), dump(contract.Validation(8, values={"a\u2028b": [1.0]}))]
    noise = [dump(contract.Progress(6, 9)), "", "noise", dump(contract.Done())]
    head.file.write_text("\n".join([noise[0], wanted[0], *noise, wanted[1]]) + "\n", encoding="utf-8")

    assert head.read() == (wanted, True)


def test_a_line_that_is_being_written_waits_for_its_end(head: Head) -> None:
    line = dump(contract.Display(7, 9))
    head.file.write_text(f"{line}\n{line[:-5]}")

    assert head.read() == ([line], True)


def test_without_a_file_there_are_none(head: Head) -> None:
    assert head.read() == ([], True)


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_of_the_job_is_not_read(head: Head, kind: str, tmp_path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(head.file)
    elif kind == "folder":
        head.file.mkdir()
    else:
        (tmp_path / "others").write_text(dump(contract.Display(7, 9)) + "\n")
        head.file.symlink_to(tmp_path / "others")

    assert head.read() == ([], True)


def test_of_a_file_of_terabytes_the_beginning_is_read(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_events, "MOST_READ", 8 << 20)
    line = dump(contract.Display(7, 9))
    with head.file.open("wb") as file:
        file.write(f"{line}\n".encode())
        file.truncate(2 << 40)

    assert head.read() == ([line], False)


def test_of_more_events_than_are_sent_the_first_come(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_events, "MOST_SENT", 1000)
    lines = [dump(contract.Display(number, 9)) for number in range(1000)]
    head.file.write_text("\n".join(lines) + "\n")

    found, whole = head.read()

    assert found == lines[: len(found)]
    assert 0 < len(found) < 20
    assert not whole
