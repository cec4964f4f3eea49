"""Snapshots of rank 0: when, which files, and which older ones they replace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import contract
from jobs.trainer.ranks.resume import FeedState, sum_of
from jobs.trainer.ranks.snapshots import Snapshots, whole


class Uploads:
    """Uploads that are done at once, and their events."""

    def __init__(self) -> None:
        self.busy, self.obsolete = False, list[str]()
        self.stored: dict[str, bytes] = {}
        self.events: list[contract.Snapshot] = []
        self.removed: list[list[str]] = []

    def snapshot(
        self, _: int, files: Any, event: Any, prepare: Callable[[], None], obsolete: Sequence[str]
    ) -> None:
        prepare()
        self.stored.update({uri: file.read_bytes() for file, uri in files})
        self.events.append(event)
        self.removed.append(list(obsolete))


class Rank:
    def __init__(self, folder: Path, *, snapshot: int = 0, every: float = 10.0, **more: Any) -> None:
        self.now, self.at, self.folder, self.uploads = 0.0, 0, folder, Uploads()
        made: Any = {
            "max_iter": 100,
            "snapshot": snapshot,
            "snapshot_after_train": False,
            "snapshot_prefix": "m",
            "suffix": "",
        }
        self.made = Snapshots(
            SimpleNamespace(**made),  # type: ignore[arg-type]
            SimpleNamespace(snapshot=self._write),  # type: ignore[arg-type]
            self.uploads,  # type: ignore[arg-type]
            folder,
            "hdfs://h/out/model",
            every=every,
            clock=lambda: self.now,
            **more,
        )

    def _write(self) -> list[Path]:
        files = [self.folder / f"m_iter_{self.at}{kind}" for kind in (".caffemodel", ".solverstate")]
        for file in files:
            file.write_text(file.name)
        return files

    def take(self, at: int) -> None:
        self.at = at
        self.made.take(at, position=10 * at, seed=7)


def files_of(*iterations: int) -> list[str]:
    kinds = ("caffemodel", "feed.json", "solverstate")
    return [f"hdfs://h/out/m_iter_{at}.{kind}" for at in iterations for kind in kinds]


def test_the_clock_asks_when_its_time_has_passed_since_the_last_one(tmp_path: Path) -> None:
    rank = Rank(tmp_path)
    asked = []
    for rank.now in (9.9, 10.0):
        asked.append(rank.made.timely())
    rank.take(5)
    for rank.now in (19.9, 20.0):
        asked.append(rank.made.timely())

    assert asked == [False, True, False, True]


def test_the_clock_does_not_ask_while_an_upload_is_on_its_way_or_where_it_is_off(tmp_path: Path) -> None:
    rank, off = Rank(tmp_path), Rank(tmp_path, every=0.0)
    rank.now = off.now = 1000.0
    rank.uploads.busy = True

    assert not rank.made.timely()
    assert not off.made.timely()


@pytest.mark.parametrize(("snapshot", "regular"), [(0, []), (4, [4, 8]), (3, [3, 6, 9])])
def test_the_solver_asks_by_iterations(tmp_path: Path, snapshot: int, regular: list[int]) -> None:
    rank = Rank(tmp_path, snapshot=snapshot)

    assert [done for done in range(1, 11) if rank.made.regular(done)] == regular


def test_a_snapshot_has_weights_state_and_the_feeds_with_the_states_sum(tmp_path: Path) -> None:
    rank = Rank(tmp_path)

    rank.take(5)

    assert list(rank.uploads.stored) == files_of(5)
    state = sum_of(tmp_path / "m_iter_5.solverstate")
    assert rank.uploads.stored[files_of(5)[1]].decode() == FeedState(50, 7, state).dump()
    (event,) = rank.uploads.events
    assert (event.iteration, event.timed) == (5, True)
    assert whole(event) == tuple(files_of(5))


def test_of_the_clocks_the_two_newest_stay(tmp_path: Path) -> None:
    rank = Rank(tmp_path)
    for at in (5, 6, 7, 8):
        rank.take(at)

    assert rank.uploads.removed == [[], [], files_of(5), files_of(6)]


def test_the_solvers_own_stay_and_replace_the_clocks(tmp_path: Path) -> None:
    rank = Rank(tmp_path, snapshot=10)
    for at in (5, 6, 10, 11, 20):
        rank.take(at)

    assert [event.timed for event in rank.uploads.events] == [True, True, False, True, False]
    assert rank.uploads.removed == [[], [], files_of(5, 6), [], files_of(11)]


def test_those_of_an_earlier_attempt_are_replaced_too_but_not_by_themselves(tmp_path: Path) -> None:
    earlier = [tuple(files_of(5)), tuple(files_of(7))]
    rank = Rank(tmp_path, timed=earlier)
    for at in (7, 8):
        rank.take(at)

    assert rank.uploads.removed == [[], files_of(5)]


def test_those_of_the_clock_that_are_left_are_obsolete_when_training_is_over(tmp_path: Path) -> None:
    rank = Rank(tmp_path, snapshot=4)
    for at in (4, 5, 6, 7):
        rank.take(at)

    rank.uploads.obsolete = files_of(5)

    assert rank.made.obsolete == files_of(5, 6, 7)
