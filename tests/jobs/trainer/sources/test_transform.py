"""transform_param, and the records that it takes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.transform import Transform


def test_without_fields_a_record_stays_as_it_is() -> None:
    assert Transform() == Transform(1.0, (), None, 0, False, False, False, False)
    with pytest.raises(FrozenInstanceError):
        Transform().scale = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("channels", "color", "gray"), [(1, False, True), (2, False, False), (3, True, False), (4, False, False)]
)
def test_images_become_grey_or_coloured_as_a_blob_takes_them(channels: int, color: bool, gray: bool) -> None:
    assert Transform(scale=2).decoding(channels) == Transform(scale=2, force_color=color, force_gray=gray)


@pytest.mark.parametrize("forced", [{"force_color": True}, {"force_gray": True}])
def test_a_layer_that_forces_colour_or_grey_decides_itself(forced: dict[str, bool]) -> None:
    for channels in (1, 3):
        assert Transform(**forced).decoding(channels) == Transform(**forced)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"crop": 4},
        {"mean_values": (1.0,)},
        {"mean_values": (1.0, 2.0, 3.0)},
        {"mean": np.zeros((3, 4, 5), np.float32)},
    ],
    ids=str,
)
def test_records_that_fit_pass(given: dict[str, Any]) -> None:
    Transform(**given).check(3, 4, 5)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"crop": 5}, "crop-exceeds-record"),
        ({"mean_values": (1.0, 2.0)}, "mean-values-invalid"),
        ({"mean_values": (1.0,) * 4}, "mean-values-invalid"),
        ({"mean": np.zeros((3, 5, 4), np.float32)}, "mean-shape-differs"),
        ({"mean": np.zeros((1, 4, 5), np.float32)}, "mean-shape-differs"),
    ],
    ids=str,
)
def test_records_that_do_not_fit_are_refused_with_their_shape(given: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused, match="3x4x5") as refused:
        Transform(**given).check(3, 4, 5)
    assert refused.value.code == code
