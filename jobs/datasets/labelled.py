"""Images with their labels: of folders by class, or of a file of labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple

from bootstrap.errors import ConfigError
from jobs.datasets import tree

LABELS = "labels.txt"
"""Lines `FILE LABEL` beside images."""
MOST_LABEL = 2**31 - 1
_WORD: Final = "(set|images?|data|split|seg)"
_SET: Final = re.compile(
    rf"({_WORD}[-_]?)?(train|training|trainval|test|testing|val|valid|validation|eval|dev)"
    rf"([-_]?{_WORD})?[-_]?\d*",
    re.IGNORECASE,
)
"""Names of folders that are sets, as `train`, `val2017` or `test_set`, and hence rarely classes."""
_START: Final = (b"\xff\xd8\xff", b"\x89PNG", b"BM")
_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
_SHOWN: Final = 3
_LONGEST: Final = 200
"""Characters of a line in an error."""


class Image(NamedTuple):
    """An image file with its label; `name` is its path below the folder."""

    name: str
    label: int
    path: Path


def by_class(path: Path, kinds: str) -> tuple[dict[str, list[Image]], tuple[str, ...]]:
    """Return images by set, of folders by class below `path` or below each of its sets, and the classes.

    The label of a class is its position among the names of all sets; `kinds` are the other forms of data.

    Raises:
        ConfigError: an image has no class, or it is not clear which folders are classes.
    """
    parts = {"": path}
    if sets := _sets(path):
        others = [part.name for part in tree.folders(path) if part.name not in sets]
        if others:
            why = f"{_first(sets)} is the name of a set, and {_first(others)} beside it is not"
            raise ConfigError(str(path), why, "Rename what is a class, or put sets and classes apart.")
        parts = {part.name: part for part in tree.folders(path)}
    found = {
        name: {each.name: list(tree.below(each)) for each in tree.folders(part)}
        for name, part in parts.items()
    }
    _check(path, parts, found, kinds)
    names = sorted({label for classes in found.values() for label in classes})
    number = {name: label for label, name in enumerate(names)}
    images = {
        name: [
            Image(file.relative_to(parts[name]).as_posix(), number[label], file)
            for label, files in classes.items()
            for file in files
        ]
        for name, classes in found.items()
    }
    # One class after the other would be a poor order to train in; this one is the same every time.
    return {name: sorted(each, key=_mixed) for name, each in images.items()}, tuple(names)


def _sets(folder: Path) -> list[str]:
    """Return the names of its folders that are sets.

    One class among several may have such a name, as CIFAR-100's `train`, where all hold images.
    """
    parts = tree.folders(folder)
    named = [part for part in parts if _SET.fullmatch(part.name)]
    one_of_several = len(named) == 1 and len(parts) > 2  # noqa: PLR2004 - it, and two others
    if one_of_several and all(map(tree.files, parts)) and not tree.folders(named[0]):
        return []
    return [part.name for part in named]


def _require_classes(folders: Sequence[Path]) -> None:
    """Refuse folders that hold none but the same folders: their names do not say that they are sets."""
    inner = [(folder, {part.name for part in tree.folders(folder)}) for folder in folders]
    alone = [(folder, names) for folder, names in inner if len(names) > 1 and not tree.files(folder)]
    for (one, names), (other, others) in combinations(alone, 2):
        if len(same := sorted(names & others)) > 1:
            why = f"{one.name} and {other.name} hold the same folders {_first(same)}"
            fix = "Name sets as train and test; or put the images of a class into its folder itself."
            raise ConfigError(str(one.parent), f"{why}, so they may be sets or classes", fix)


def _check(
    path: Path, parts: Mapping[str, Path], found: Mapping[str, Mapping[str, list[Path]]], kinds: str
) -> None:
    """Require a class for each image, an image for each class, and names that say which is which."""
    loose = {name: tree.files(part) for name, part in parts.items()}
    if bare := [name for name, files in loose.items() if name and files]:
        why = f"{_first(bare)} has images without classes"
        fix = f"Put them into a folder for each class, or add {LABELS}: FILE LABEL."
        raise ConfigError(str(path), why, fix)
    beside = tree.files(path)
    if not any(found.values()) or beside:
        in_no_class = beside and any(found.values())
        why = f"{beside[0]} is in no class" if in_no_class else f"it holds none of these: {kinds}"
        raise ConfigError(str(path), why, "See `docs/tools.md`, Own data, for the forms.")
    for name, classes in found.items():
        sets = _sets(parts[name]) if name else []
        for label, files in classes.items():
            folder = parts[name] / label
            if not label.isprintable():
                raise ConfigError(
                    str(path), f"{label!r} is not a valid name of a class", "Rename the folder."
                )
            if not files:
                fix = "Remove it, or add images: its label would be that of no image."
                raise ConfigError(str(folder), "it is a folder of a class, and holds no images", fix)
            inner = {part for file in files for part in file.relative_to(folder).parts[:-1]}
            odd = sorted(part for part in inner if _SET.fullmatch(part))
            if label in sets:
                odd.insert(0, label)
            if odd:
                why = f"{odd[0]} is the name of a set, in the place of a class"
                raise ConfigError(str(folder), why, "Put the sets first, as train/CLASS, or rename it.")
        _require_classes([parts[name] / label for label in classes])
    names = {label for classes in found.values() for label in classes}
    folders = [parts[name] / label for name, classes in found.items() for label in classes]
    if len(names) == 1 and not any(map(tree.files, folders)):
        why = f"{folders[0].name} would be its only class, and holds folders alone"
        raise ConfigError(str(path), why, f"Put those beside one another, or name {folders[0]}.")


def _mixed(image: Image) -> bytes:
    return hashlib.sha256(image.name.encode("utf-8", "surrogateescape")).digest()


def listed(folder: Path, labels: Path) -> list[Image]:
    """Return images in the order of a file with lines `FILE LABEL`.

    Raises:
        ConfigError: a line is not a valid one, or an image has two labels.
    """
    images = []
    seen: dict[Path, tuple[int, int]] = {}
    try:
        lines = labels.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(str(labels), "it is not text in UTF-8", "Fix the file.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        *names, text = line.strip().rsplit(maxsplit=1)
        name, label = "".join(names), _label(text)
        given = f"{labels}, line {number}"
        if not name or label is None:
            shown = line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"
            raise ConfigError(
                given, f"{shown!r} is not a file and a label, a whole number from 0", "Fix the line."
            )
        file = folder / name
        if not file.is_file():
            raise ConfigError(given, f"there is no file {file}", "Fix the line.")
        line_of, first = seen.setdefault(file.resolve(), (number, label))
        if label != first:
            why = f"{name} has the label {first} in line {line_of}, and {label} here"
            raise ConfigError(given, why, "Remove one of the lines.")
        images.append(Image(name, label, file))
    return images


def unlisted(folder: Path, images: Sequence[Image]) -> list[Path]:
    """Return the images of a folder that are not among those listed."""
    named = {image.path.resolve() for image in images}
    return [file for file in tree.below(folder) if file.resolve() not in named and _is_image(file)]


def all_listed(folder: Path) -> list[Image]:
    """Return images in the order of the file of labels beside them.

    Raises:
        ConfigError: a line is not a valid one, an image has two labels, or one has no line.
    """
    labels = folder / LABELS
    images = listed(folder, labels)
    left = unlisted(folder, images) if images else []
    if left:
        names = ", ".join(file.relative_to(folder).as_posix() for file in left[:_SHOWN])
        more = " …" if len(left) > _SHOWN else ""
        why = f"it has no line for {len(left):,} of the images below {folder}: {names}{more}"
        fix = "Add their lines, move them elsewhere, or name the file with --labels to leave them out."
        raise ConfigError(str(labels), why, fix)
    return images


def _label(text: str) -> int | None:
    """Return a label; None if it is not a whole number from 0 of 32 bits."""
    digits = text.lstrip("0") or "0"
    # int refuses very many digits.
    short = text.isascii() and text.isdecimal() and len(digits) <= len(str(MOST_LABEL))
    return int(digits) if short and int(digits) <= MOST_LABEL else None


def _is_image(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4).startswith(_START) or file.suffix.lower() in _SUFFIXES


def _first(names: Sequence[str]) -> str:
    """Return the first names of several."""
    return ", ".join(sorted(names)[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
