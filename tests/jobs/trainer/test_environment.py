"""Values of the environment that go over those of prototxts."""

from __future__ import annotations

import pytest

from jobs.trainer.environment import overrides
from jobs.trainer.errors import Refused


def test_without_variables_nothing_is_overridden() -> None:
    assert set(overrides({"MAX_ITER": "1"}).values()) == {""}


def test_values_are_read_by_their_prefix() -> None:
    given = {"CAFFE_SPARK_OVERRIDE_MAX_ITER": "7", "CAFFE_SPARK_OVERRIDE_SOLVER_MODE": "GPU"}

    found = overrides({**given, "CAFFE_SPARK_OVERRIDE_FINAL_VALIDATION": "1"})

    assert (found["max_iter"], found["solver_mode"], found["final_validation"]) == ("7", "GPU", "1")


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("MAX_ITER", "0", "Give a whole number"),
        ("BATCH", "many", "Give a whole number"),
        ("SOLVER_MODE", "gpu", "Give CPU or GPU"),
        ("FINAL_VALIDATION", "false", "Give 0 or 1"),
    ],
)
def test_a_value_that_is_not_valid_is_refused_with_its_variable(name: str, value: str, fix: str) -> None:
    with pytest.raises(Refused, match=f"CAFFE_SPARK_OVERRIDE_{name}: it is '{value}'. {fix}"):
        overrides({f"CAFFE_SPARK_OVERRIDE_{name}": value})
