"""Records that a data layer takes."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.base import Record
from jobs.trainer.sources.fit import Fit
from jobs.trainer.sources.transform import Transform


def record(shape: tuple[int, ...], label: int = 0) -> Record:
    return Record("00000009", label, np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("fit", "fitting", "others", "wanted"),
    [
        (
            Fit("TEST", (1, 28, 28), Transform()),
            (1, 28, 28),
            [(3, 28, 28), (1, 28, 27), (1, 1, 1)],
            "1x28x28",
        ),
        (
            Fit("TEST", (3, 24, 24), Transform(crop=24)),
            (3, 30, 28),
            [(3, 22, 22), (3, 24, 23), (1, 30, 30)],
            "at least 3x24x24",
        ),
        (
            Fit("TEST", (1, 2, 2), Transform(crop=2, mean=np.zeros((1, 4, 4), np.float32))),
            (1, 4, 4),
            [(1, 5, 5), (1, 2, 2)],
            "1x4x4",
        ),
    ],
    ids=["whole", "cropped", "with a mean"],
)
def test_a_record_of_another_size_is_named_and_never_spread_or_cut(
    fit: Fit, fitting: tuple[int, ...], others: list[tuple[int, ...]], wanted: str
) -> None:
    fit.require(record(fitting))
    for shape in others:
        with pytest.raises(Refused, match="record 00000009 of the TEST source: it is") as refused:
            fit.require(record(shape))
        assert f"it is {'x'.join(map(str, shape))}, and the layer takes {wanted}" in str(refused.value)


@pytest.mark.parametrize(("label", "fits"), [(0, True), (9, True), (255, True), (10, False), (-1, False)])
def test_a_label_that_is_no_class_of_the_net_is_named(label: int, fits: bool) -> None:
    fit = Fit("TRAIN", (1, 2, 2), Transform(), classes=10, ignored=(255,))
    if fits:
        fit.require(record((1, 2, 2), label))
        return
    with pytest.raises(Refused, match=f"its label is {label}, and the net has 10 classes"):
        fit.require(record((1, 2, 2), label))


def test_a_net_without_classes_takes_any_label() -> None:
    Fit("TRAIN", (1, 2, 2), Transform()).require(record((1, 2, 2), -7))
