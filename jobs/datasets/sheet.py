"""Contact sheet of a data set: the first images of each label, in a row."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.aside import replacing

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE, GAP, LABEL = 64, 4, 160
"""Pixels of an image, between images, and for the label before each row."""
LONGEST = 22
"""Characters of a label."""
MOST_PIXELS = 20_000_000
"""Of an image by its header; a larger one is left out."""
_SHADES, _COLOURS = 1, 3


def draw(
    samples: Sequence[Mapping[str, Any]], classes: Sequence[str], path: Path, *, blue_first: bool
) -> bool:
    """Write the sheet as PNG; return False if no sample is an image.

    Samples have a `label`, a `shape` (channels, height, width; None: an encoded image) and `data` in base64.
    `blue_first`: colours of raw pixels are blue, green, red.
    """
    # Importing them takes a third of a second.
    import matplotlib as mpl
    from PIL import Image, ImageDraw, ImageFont

    rows: dict[int, list[Image.Image]] = {}
    for sample in samples:
        image = _image(sample, blue_first=blue_first)
        if image is not None:
            # At the size of the sheet: decoded, a file of a few kB may have a GB.
            rows.setdefault(int(sample["label"]), []).append(_fitted(image))
    if not rows:
        return False
    step = SIDE + GAP
    width = LABEL + step * max(map(len, rows.values()))
    sheet = Image.new("RGB", (width, step * len(rows)), "white")
    pen = ImageDraw.Draw(sheet)
    # Pillow's own font has no letters beyond ASCII.
    font = ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 11)
    for row, label in enumerate(sorted(rows)):
        name = classes[label] if 0 <= label < len(classes) else ""
        pen.text((GAP, row * step + SIDE // 2 - 6), f"{label} {name}"[:LONGEST], fill="black", font=font)
        for column, image in enumerate(rows[label]):
            sheet.paste(image, (LABEL + column * step, row * step + GAP // 2))
    with replacing(path) as new:
        sheet.save(new, format="PNG")
    return True


def _image(sample: Mapping[str, Any], *, blue_first: bool) -> Image | None:
    """Return a sample's image; None for what is not one, such as floats or a damaged file, or too large."""
    from PIL import Image

    data, shape = base64.b64decode(sample["data"]), sample["shape"]
    try:
        if shape is None:
            opened = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "BMP"))
            return opened.convert("RGB") if opened.width * opened.height <= MOST_PIXELS else None
        channels, height, width = shape
        if channels not in {_SHADES, _COLOURS} or len(data) != channels * height * width:
            return None
        planes = [
            Image.frombytes("L", (width, height), data[at : at + height * width])
            for at in range(0, len(data), height * width)
        ]
        if channels == _SHADES:
            return planes[0].convert("RGB")
        return Image.merge("RGB", planes[::-1] if blue_first else planes)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _fitted(image: Image) -> Image:
    from PIL import Image as Pillow

    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.width < SIDE and image.height < SIDE
    return image.resize(size, Pillow.Resampling.NEAREST if small else Pillow.Resampling.LANCZOS)
