"""Notice of a cloud on a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.trainer.ranks.notice import MOST_WORDS, Notice, read


def test_a_node_without_a_notice_has_none(tmp_path: Path) -> None:
    assert read(tmp_path / "notice.json") is None


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ('{"why": "spot\\n instance", "at": 12.5}', Notice("spot instance", 12.5)),
        ('{"why": "rebalance"}', Notice("rebalance", 0.0)),
        ('{"why": "x", "at": null, "more": 1}', Notice("x", 0.0)),
        ("{", Notice("its cloud takes the node", 0.0)),
        ("[]", Notice("its cloud takes the node", 0.0)),
        ('{"at": 1}', Notice("its cloud takes the node", 0.0)),
        ('{"why": "x", "at": "soon"}', Notice("its cloud takes the node", 0.0)),
    ],
)
def test_a_notice_counts_whatever_its_form(tmp_path: Path, text: str, notice: Notice) -> None:
    file = tmp_path / "notice.json"
    file.write_text(text)

    assert read(file) == notice


def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "notice.json"
    file.write_text('{"why": "' + 1000 * "x" + '"}')

    found = read(file)

    assert found is not None
    assert len(found.why) == MOST_WORDS
