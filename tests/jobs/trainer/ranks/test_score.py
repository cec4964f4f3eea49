"""Means over scored rows."""

from __future__ import annotations

import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.ranks.score import Sums, means_text, quoted


def test_means_are_taken_element_by_element_over_all_rows() -> None:
    sums = Sums(["accuracy", "ip2"])
    for row in ([[1.0], [1.0, 2.0]], [[0.0], [3.0, 4.0]], [[0.5], [5.0, 9.0]]):
        sums.add(row)

    assert sums.means() == {"accuracy": [0.5], "ip2": [3.0, 5.0]}


def test_parts_may_be_summed_apart_and_one_may_be_empty() -> None:
    left, right = Sums(["a"]), Sums(["a"])
    left.add([[1.0]])
    right.add([[2.0]]).add([[6.0]])

    assert left.merge(right).merge(Sums(["a"])).means() == {"a": [3.0]}


def test_a_small_last_batch_weighs_by_its_samples() -> None:
    sums = Sums(["accuracy"])
    for value in [0.9] * 100 + [0.5] * 25:
        sums.add([[value]])

    assert sums.means()["accuracy"][0] == pytest.approx((90 + 12.5) / 125)


def test_no_rows_have_no_mean() -> None:
    with pytest.raises(TrainerError, match="no records"):
        Sums(["a"]).means()


def test_the_means_file_is_caffeonsparks() -> None:
    assert means_text({"accuracy": [0.99], "loss": [0.25, 1.0]}) == "accuracy: 0.99\nloss: 0.25,1.0\n"


def test_a_dot_in_a_columns_name_is_no_field_of_a_struct() -> None:
    assert [quoted(name) for name in ("loss", "fc.8", "a`b")] == ["`loss`", "`fc.8`", "`a``b`"]
