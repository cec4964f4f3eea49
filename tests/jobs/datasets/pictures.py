"""Small image files."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def picture(path: Path, colour: tuple[int, int, int] = (255, 0, 0), size: tuple[int, int] = (6, 4)) -> Path:
    """Write an image of one colour, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def by_class(folder: Path, names: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> Path:
    """Write images into a folder for each class; each differs."""
    for shade, name in enumerate(names):
        for number in range(count):
            picture(folder / name / f"{number}.png", (50 * shade, number, 0))
    return folder
