"""Transformations as a data layer's transform_param has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from jobs.trainer.caffe.nets import PhaseNet
from jobs.trainer.caffe.transform_param import require_crop, require_mean, transform_of
from jobs.trainer.errors import Refused
from jobs.trainer.sources.transform import Transform


def transform(pb: Any, text: str, path: Path = Path("net.prototxt"), phase: str = "TRAIN") -> Transform:
    param = text_format.Parse(text, pb.TransformationParameter())
    return transform_of(param, PhaseNet(phase, None, path), "TRAIN layer", pb)


def test_every_field_is_taken_with_the_phase_of_its_net(pb: Any) -> None:
    text = "scale: 0.5 mean_value: 1 mean_value: 2 crop_size: 7 mirror: true"

    assert transform(pb, text) == Transform(0.5, (1.0, 2.0), None, 7, True, False, False, True)
    assert not transform(pb, text, phase="TEST").train
    assert transform(pb, "force_gray: true") == Transform(force_gray=True, train=True)
    assert transform(pb, "force_color: true") == Transform(force_color=True, train=True)


@pytest.mark.parametrize("text", ["force_color: true force_gray: true", 'mean_file: "m" mean_value: 3'])
def test_what_excludes_each_other_is_refused(pb: Any, text: str) -> None:
    with pytest.raises(Refused, match="both"):
        transform(pb, text)


@pytest.mark.parametrize("given", ["mean", "elsewhere/mean"])
@pytest.mark.parametrize("old", [True, False])
def test_a_mean_file_lies_beside_the_net_and_has_channels_rows_and_columns(
    tmp_path: Path, pb: Any, given: str, old: bool
) -> None:
    dims = {"num": 1, "channels": 2, "height": 3, "width": 4}
    blob = pb.BlobProto(**dims) if old else pb.BlobProto(shape={"dim": [2, 3, 4]})
    blob.data.extend(range(24))
    (tmp_path / "mean").write_bytes(blob.SerializeToString())

    mean = transform(pb, f'mean_file: "{given}"', tmp_path / "net.prototxt").mean

    assert mean is not None
    assert mean.dtype == np.float32
    assert np.array_equal(mean, np.arange(24).reshape(2, 3, 4))


def test_a_file_that_is_no_mean_is_refused_by_name(tmp_path: Path, pb: Any) -> None:
    short = pb.BlobProto(shape={"dim": [2, 3, 4]}, data=[1.0]).SerializeToString()
    for data in (b"not a blob", short):
        (tmp_path / "m.binaryproto").write_bytes(data)

        with pytest.raises(Refused, match=r"m\.binaryproto"):
            transform(pb, 'mean_file: "m.binaryproto"', tmp_path / "net.prototxt")


@pytest.mark.parametrize(("crop", "fits"), [(0, True), (6, False), (5, False), (7, False)])
def test_a_layer_has_the_size_of_its_crop(crop: int, fits: bool) -> None:
    if fits:
        require_crop(Transform(crop=crop), (3, 6, 5), "TRAIN layer")
        return
    with pytest.raises(Refused, match=f"crop_size.*{crop}"):
        require_crop(Transform(crop=crop), (3, 6, 5), "TRAIN layer")


def test_a_square_layer_may_be_a_crop() -> None:
    require_crop(Transform(crop=6), (3, 6, 6), "TRAIN layer")


@pytest.mark.parametrize(("count", "fits"), [(0, True), (1, True), (2, False), (3, True), (4, False)])
def test_mean_values_are_one_for_all_channels_or_one_for_each(count: int, fits: bool) -> None:
    given = Transform(mean_values=(1.0,) * count)
    if fits:
        require_mean(given, (3, 2, 4), "TRAIN layer")
        return
    with pytest.raises(Refused, match=f"given {count} times"):
        require_mean(given, (3, 2, 4), "TRAIN layer")


@pytest.mark.parametrize(
    ("mean", "crop", "fits"),
    [
        ((3, 4, 5), 0, True),
        ((3, 5, 5), 0, False),
        ((1, 4, 5), 0, False),
        ((3, 4), 0, False),
        ((3, 4, 4), 4, True),
        ((3, 9, 9), 4, True),
        ((3, 9, 3), 4, False),
        ((3, 3, 9), 4, False),
        ((1, 9, 9), 4, False),
        ((3, 9), 4, False),
    ],
)
def test_a_mean_has_the_records_shape_or_at_least_the_size_of_the_crop(
    mean: tuple[int, ...], crop: int, fits: bool
) -> None:
    given = Transform(mean=np.zeros(mean, np.float32), crop=crop)
    shape = (3, 4, 4) if crop else (3, 4, 5)
    if fits:
        require_mean(given, shape, "TRAIN layer")
        return
    with pytest.raises(Refused, match="mean"):
        require_mean(given, shape, "TRAIN layer")
