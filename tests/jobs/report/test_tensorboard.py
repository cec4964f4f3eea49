"""TensorBoard's event files, read back record by record."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from jobs.report import tensorboard
from jobs.report.curve import Curve
from jobs.trainer import contract
from jobs.trainer.contract import stamped


def masked(data: bytes) -> int:
    checksum: int = crc32c(data)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path) -> list[Any]:
    """Read a file of TFRecords: length, its checksum, data, its checksum."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(data[12 : 12 + length])
        data = data[16 + length :]
    return found


def made() -> Curve:
    curve = Curve()
    for event, at in (
        (contract.Training(2, 10), 1000.0),
        (contract.Display(0, 200, 2.5, lr=0.01), 1001.0),
        (contract.Validation(100, 200, {"accuracy#0": [0.5], "accuracy_0": [0.25]}), 1002.5),
        (contract.Display(100, 200, math.nan, lr=0.005), 1003.0),
    ):
        curve.add(stamped(event, at))
    return curve


def test_each_point_is_a_scalar_at_its_iteration_and_time(tmp_path: Path) -> None:
    first, *rest = records(tensorboard.write(made(), "mnist-1", tmp_path))
    found = [
        (one.summary.value[0].tag, one.step, one.wall_time, one.summary.value[0].simple_value) for one in rest
    ]

    assert first.file_version == "brain.Event:2"
    assert found[0] == ("train/loss", 0, 1001.0, 2.5)
    assert found[2:4] == [("test/accuracy#0", 100, 1002.5, 0.5), ("test/accuracy_0", 100, 1002.5, 0.25)]
    assert found[4][:3] == ("train/loss", 100, 1003.0)
    assert math.isnan(found[4][3])


def test_a_scalar_says_what_it_is_the_mean_of(tmp_path: Path) -> None:
    written = records(tensorboard.write(made(), "mnist-1", tmp_path))[1]

    said = written.summary.value[0].metadata.summary_description
    assert said == "loss, mean over all 2 ranks and up to the last 10 iterations"


def test_written_again_with_more_points_the_file_goes_on_where_it_was(tmp_path: Path) -> None:
    curve = made()
    path = tensorboard.write(curve, "mnist-1", tmp_path)
    before = path.read_bytes()

    curve.add(stamped(contract.Display(200, 200, 0.1), 1004.0))
    assert tensorboard.write(curve, "mnist-1", tmp_path) == path

    assert list(tmp_path.iterdir()) == [path], "a second file would show every point twice"
    assert path.read_bytes().startswith(before)
    assert len(path.read_bytes()) > len(before)
