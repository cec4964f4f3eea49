"""Scoring: what its parts are asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import scoring
from jobs.trainer.events.channel import Address
from tests.jobs.trainer.stage import MODEL, net

HERE = Address("h", 1, "t")


@pytest.mark.parametrize(
    ("test", "columns", "wanted"),
    [
        (True, (), ("accuracy", "loss")),
        (False, ("ip1", "label"), ("ip1", "label")),
        (True, ("loss", "label"), ("loss", "label", "accuracy")),
    ],
)
def test_parts_score_the_features_and_the_outputs_once_each(
    running: Any,
    monkeypatch: pytest.MonkeyPatch,
    test: bool,
    columns: tuple[str, ...],
    wanted: tuple[str, ...],
) -> None:
    monkeypatch.setattr("jobs.trainer.scoring.schema", lambda names: names)
    running.spark = SimpleNamespace(createDataFrame=lambda _, names, **__: names)
    running.nodes.add_model = lambda uri, written: (uri, written)
    running.options = SimpleNamespace(test=test, columns=columns, train=False)
    running.job.tests = [net("a")]

    assert scoring.scored(running, SimpleNamespace(outputs=("accuracy", "loss")), HERE) == wanted

    plan = running.context.plan
    assert (plan.size, plan.test, plan.model, plan.columns) == (2, "a", (MODEL, False), wanted)
