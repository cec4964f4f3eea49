"""HTML for notebooks."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jobs.api import show_df, show_network
from jobs.api.png import png


def frame(*rows: dict[str, Any]) -> Any:
    return SimpleNamespace(take=lambda n: [SimpleNamespace(asDict=lambda row=row: row) for row in rows[:n]])


def pixels(file: bytes) -> tuple[tuple[int, ...], bytes]:
    """Return width, height, depth and kind of a PNG, and its rows with their filters."""
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = {}, 8
    while at < len(file):
        size, name = struct.unpack(">I4s", file[at : at + 8])
        data = file[at + 8 : at + 8 + size]
        assert struct.unpack(">I", file[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + data)
        found[name], at = data, at + 12 + size
    return struct.unpack(">IIBB", found[b"IHDR"][:10]), zlib.decompress(found[b"IDAT"])


def image(html: str) -> bytes:
    match = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert match is not None
    return base64.b64decode(match[1])


def test_grey_and_coloured_pixels_are_png_files() -> None:
    assert pixels(png(np.array([[1, 2, 3], [4, 5, 6]]))) == ((3, 2, 8, 0), b"\0\1\2\3\0\4\5\6")
    assert pixels(png(np.array([[[1, 2, 3]]]))) == ((1, 1, 8, 2), b"\0\1\2\3")


def test_a_frame_of_mnist_is_a_table_of_images() -> None:
    row = {"id": "00000007", "label": "7", "data": bytearray(range(6)), "height": 2, "width": 3}
    html = str(show_df(frame(row, row), 1))
    assert html.count("<tr>") == 2
    assert "<td>00000007</td><td>7</td>" in html
    assert pixels(image(html)) == ((3, 2, 8, 0), b"\0\0\1\2\0\3\4\5")


def test_colours_are_read_blue_first_as_the_trainer_reads_them() -> None:
    html = str(show_df(frame({"data": b"\1\2\3", "channels": 3, "height": 1, "width": 1, "encoded": False})))
    assert pixels(image(html))[1] == b"\0\3\2\1"


def test_images_that_are_files_are_shown_as_they_are() -> None:
    html = str(show_df(frame({"label": "<b>", "data": b"\xff\xd8jpeg", "encoded": True})))
    assert base64.b64encode(b"\xff\xd8jpeg").decode() in html
    assert "image/jpeg" in html
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"data": b"123", "height": 2, "width": 2, "channels": 1}, "3 bytes are not 1 channels of 2x2"),
        ({"data": b"123"}, "no height and width"),
        ({"data": "text"}, "is not bytes"),
        ({}, "is not bytes"),
    ],
)
def test_a_row_that_is_no_image_is_refused_by_its_number(row: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=f"row 0: .*{why}"):
        show_df(frame(row))


def test_a_net_is_drawn_with_all_layers_and_where_blobs_go(prototxts: Path, messages: None) -> None:
    net = prototxts.parent / "lenet_memory_train_test.prototxt"
    down, across = str(show_network(str(net))), str(show_network(str(net), "LR"))
    for svg in (down, across):
        assert svg.count("<rect") == 11
        assert "Convolution num output 20 kernel size 5" in svg
        assert "MemoryData TRAIN" in svg
    # data to conv1, twice; to loss and accuracy likewise for label; a line of layers otherwise
    assert down.count("<line") == across.count("<line")
    height, width = (int(re.search(rf'{side}="(\d+)"', down)[1]) for side in ("height", "width"))  # type: ignore[index]
    assert height > width


def test_a_direction_that_does_not_exist_is_refused(prototxts: Path, messages: None) -> None:
    with pytest.raises(ValueError, match=r"TB .* or LR"):
        show_network(str(prototxts), "BT")
