"""Locks between processes: said where they are waited for, and not waited for without end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bootstrap.errors import CaffeSparkError
from bootstrap.locks import take


def test_a_lock_that_is_free_is_taken_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    with (tmp_path / "lock").open("w") as file:
        take(file, "the image", 10, said.append)
    assert said == []


def test_one_that_is_held_is_waited_for_with_one_line_and_then_taken(tmp_path: Path) -> None:
    said: list[str] = []
    held = (tmp_path / "lock").open("w")
    take(held, "the image", 10, said.append)

    def end(line: str) -> None:
        said.append(line)
        threading.Timer(0.3, held.close).start()

    with (tmp_path / "lock").open("w") as file:
        take(file, "the image", 600, end)
    assert said == ["Another process is busy with the image; waiting for it, for at most 10 minutes."]


def test_one_that_stays_held_is_an_error_with_the_next_command(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as held, path.open("w") as file:
        take(held, "the image", 10, print)
        with pytest.raises(CaffeSparkError, match=r"has kept it locked for 0 s\. Run `fuser -v .*/lock`"):
            take(file, "the image", 0.3, lambda _: None)
