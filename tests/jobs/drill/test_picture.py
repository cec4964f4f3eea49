"""timeline.svg."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from jobs.drill import picture, timeline
from jobs.drill.record import Record
from tests.jobs.drill.recording import BEGAN, by_notice, without_notice


def texts(path: Path) -> list[str]:
    root = ElementTree.fromstring(path.read_text())
    return ["".join(found.itertext()).strip() for found in root.iter("{http://www.w3.org/2000/svg}text")]


def drawn(record: Record, tmp_path: Path, title: str = "a drill") -> list[str]:
    found = timeline.moments(record)
    return texts(picture.draw(tmp_path / "timeline.svg", title, found, timeline.rates(record.events)))


def test_the_picture_names_what_happened_and_its_axes(tmp_path: Path) -> None:
    found = drawn(by_notice(), tmp_path)
    for words in ("notice", "snapshot", "executors lost", "recovery", "node taken", "replacement up"):
        assert found.count(words) == 1, words
    assert "cut off" not in found
    assert {"seconds since the interruption began", "images/s, all executors", "a drill"} <= set(found)


def test_a_title_is_taken_as_it_is(tmp_path: Path) -> None:
    assert "costs $5 and $6" in drawn(by_notice(), tmp_path, "costs $5 and $6")


def test_the_same_drill_gives_the_same_bytes(tmp_path: Path) -> None:
    drawn(by_notice(), tmp_path)
    first = (tmp_path / "timeline.svg").read_bytes()
    drawn(by_notice(), tmp_path)
    assert (tmp_path / "timeline.svg").read_bytes() == first


def test_a_drill_in_which_nothing_happened_is_drawn_too(tmp_path: Path) -> None:
    assert "a drill" in drawn(Record(), tmp_path)


@pytest.mark.parametrize(("record", "second"), [(by_notice(), 30), (without_notice(), 33)])
def test_time_counts_from_the_interruption(record: Record, second: int) -> None:
    assert picture.zero(timeline.moments(record), ()) == BEGAN + second
