"""Contact sheets: a row for each label, raw pixels and encoded images, and nothing of what is none."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobs.datasets.sheet import LABEL, draw


def sample(label: int, shape: list[int] | None, data: bytes) -> dict[str, Any]:
    return {"label": label, "shape": shape, "data": base64.b64encode(data).decode()}


def encoded(width: int = 300, height: int = 200) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (0, 255, 0)).save(out, "PNG")
    return out.getvalue()


BLUE_FIRST = bytes([255] * 4 + [0] * 8)


@pytest.mark.parametrize(("blue_first", "colour"), [(True, (0, 0, 255)), (False, (255, 0, 0))])
def test_labels_have_a_row_each_with_their_images(
    tmp_path: Path, blue_first: bool, colour: tuple[int, int, int]
) -> None:
    samples = [
        sample(7, [3, 2, 2], BLUE_FIRST),
        sample(2, None, encoded()),
        sample(2, [1, 1, 1], bytes([128])),
    ]

    assert draw(samples, ["", "", "čáp"], tmp_path / "new" / "a.png", blue_first=blue_first)

    with Image.open(tmp_path / "new" / "a.png") as sheet:
        pixels = [sheet.getpixel((LABEL + x, y)) for x, y in ((10, 10), (80, 10), (10, 80))]
    assert pixels == [(0, 255, 0), (128, 128, 128), colour]


@pytest.mark.parametrize(
    "odd",
    [
        sample(1, None, b"not an image"),
        sample(1, None, encoded()[:60]),
        sample(1, None, encoded(5001, 4000)),
        sample(1, [2, 2, 2], bytes(8)),
        sample(1, [1, 2, 2], bytes(3)),
    ],
)
def test_without_an_image_there_is_no_sheet(tmp_path: Path, odd: dict[str, Any]) -> None:
    assert not draw([odd], [], tmp_path / "a.png", blue_first=True)
    assert list(tmp_path.iterdir()) == []


def test_of_large_images_one_is_in_memory_at_a_time(tmp_path: Path) -> None:
    large = sample(1, None, encoded(3000, 2000))
    script = (
        "import resource, sys, json, pathlib; from jobs.datasets.sheet import draw\n"
        "samples = [json.loads(sys.stdin.read())]\n"
        "draw(samples, [], pathlib.Path(sys.argv[1]), blue_first=True)\n"
        "first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "draw(samples * 10, [], pathlib.Path(sys.argv[1]), blue_first=True)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.png")],
        input=json.dumps(large),
        capture_output=True,
        text=True,
        check=True,
    )
    # In KiB: ten of them decoded have 180 MB.
    assert int(done.stdout) < 60_000
