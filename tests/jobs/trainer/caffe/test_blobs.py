"""Shapes of the blobs of a batch."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.trainer.caffe.blobs import Blob
from jobs.trainer.sources.transform import Transform


@pytest.mark.parametrize(
    ("more", "dims"),
    [
        ({}, {"x": [7, 4, 3, 2]}),
        ({"label_blob": "y"}, {"x": [7, 4, 3, 2], "y": [7]}),
        ({"axes": 1}, {"x": [7, 4]}),
        ({"axes": 0}, {"x": [7]}),
        ({"axes": 1, "transposed": True, "label_blob": "y"}, {"x": [4, 7], "y": [7]}),
        ({"transposed": True}, {"x": [4, 3, 2, 7]}),
    ],
)
def test_a_batch_comes_first_unless_its_blob_is_transposed(
    more: dict[str, Any], dims: dict[str, list[int]]
) -> None:
    assert Blob("x", (4, 3, 2), Transform(), **more).dims(7) == dims
