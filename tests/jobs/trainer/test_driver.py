"""Driver: which of its parts run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.driver import Driver


@pytest.mark.parametrize(
    ("train", "scores", "run"),
    [
        (True, False, ["prepared", "trained"]),
        (False, True, ["prepared", "scored"]),
        (True, True, ["prepared", "trained", "scored"]),
    ],
)
def test_a_job_trains_scores_or_both_as_its_options_say(
    monkeypatch: pytest.MonkeyPatch, train: bool, scores: bool, run: list[str]
) -> None:
    done: list[str] = []
    made: Any = object.__new__(Driver)
    made.options, made.conf, made.size = SimpleNamespace(train=train, scores=scores), {}, 1
    monkeypatch.setattr("jobs.trainer.preparation.prepare", lambda *_: done.append("prepared"))
    monkeypatch.setattr("jobs.trainer.training.train", lambda *_: done.append("trained"))
    monkeypatch.setattr("jobs.trainer.scoring.score", lambda *_: done.append("scored"))

    made.run(SimpleNamespace(), SimpleNamespace(address=None))

    assert done == run
