"""What a user's file or folder holds, and how it is stored: images as LMDBs, the rest as it is.

A folder holds one kind, or subfolders (`train`, `test` …) of one kind each. Names that begin with `.`
or `_` are left out, as Spark does.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from bootstrap.errors import ConfigError
from bootstrap.sums import sha256_of
from jobs.datasets.on_head.images import CLASSES

LMDB, PARQUET, SEQUENCE, IMAGES = "lmdb", "parquet", "sequence", "images"
DATABASE = "data.mdb"
LABELS = "labels.txt"
"""Lines `FILE LABEL` beside images."""
MOST_FILES = 2000
"""Files that a set may have: each is a word of one command line on the head."""
MOST_LABEL = 2**31 - 1
_MAGIC: Final = {b"PAR1": PARQUET, b"SEQ": SEQUENCE}
_FORMATS: Final = ("JPEG", "PNG", "BMP")
"""Image formats that OpenCV decodes wherever Caffe is compiled."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9@+=][A-Za-z0-9@+=._,-]*")
_KINDS: Final = f"an LMDB, images by class, images with {LABELS}, Parquet, sequence files"
_PHASES: Final = {"train", "test", "val", "valid", "validation"}


class Image(NamedTuple):
    """An image file with its label; `name` is its path below the folder."""

    name: str
    label: int
    path: Path


@dataclass(frozen=True)
class Content:
    """Content of a data set before it is stored."""

    kind: str
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files that are stored as they are, by their names below the set's folder."""
    images: Mapping[str, tuple[Image, ...]] = field(default_factory=dict)
    """Images by the LMDB that they become, in the order of its records."""
    classes: tuple[str, ...] = ()
    """Names of the labels, where folders tell."""
    sizes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Number of images by width and height."""

    @property
    def stored(self) -> tuple[str, ...]:
        """Names of the files that the set has in storage."""
        names = [*self.files, *(f"{name}/{DATABASE}" for name in self.images)]
        return tuple(sorted([*names, CLASSES] if self.classes else names))

    def digest(self) -> str:
        """Return a sha256 of all that decides what is stored.

        Raises:
            OSError: a file cannot be read.
        """
        whole = hashlib.sha256(repr((self.kind, self.classes)).encode())
        for name, path in sorted(self.files.items()):
            whole.update(f"{name}\0{sha256_of(path)}\n".encode())
        for name, images in sorted(self.images.items()):
            for image in images:
                line = f"{name}\0{image.name}\0{image.label}\0{sha256_of(image.path)}\n"
                whole.update(line.encode("utf-8", "surrogateescape"))
        return whole.hexdigest()


def recognise(path: Path, labels: Path | None = None) -> Content:
    """Return what a file or folder holds; `labels` names a file of lines `FILE LABEL`, FILE below `path`.

    Raises:
        ConfigError: it is none of the kinds, mixes them, or a file of it is not a valid one.
    """
    try:
        return _recognise(path, labels)
    except OSError as error:
        why = f"it cannot be read ({error.strerror or error})"
        raise ConfigError(str(error.filename or path), why, "Fix the path.") from error


def _recognise(path: Path, labels: Path | None) -> Content:
    if labels is not None:
        return _converted(path, {"": _listed(path, labels)}, ())
    if path.is_file():
        kind = _magic(path)
        if kind is None:
            raise ConfigError(
                str(path), "it is neither Parquet nor a sequence file", "Name a folder, or one of these."
            )
        return _as_it_is(path, kind, {"": [path]})
    if not path.is_dir():
        raise ConfigError(str(path), "there is no such file or folder", "Fix the path.")
    kind = None if _is_divided(path) else _kind(path)
    parts = {"": path} if kind else {part.name: part for part in _folders(path)}
    kinds = {name: kind or _kind(part) for name, part in parts.items()}
    if not kind and parts and all(kinds.values()):
        if loose := list(_entries(path, files=True)):
            why = f"{loose[0].name} is beside its folders, and would be left out"
            raise ConfigError(str(path), why, "Move it elsewhere.")
        if len(set(kinds.values())) > 1:
            told = ", ".join(f"{name}: {each}" for name, each in kinds.items())
            raise ConfigError(str(path), f"its folders are of several kinds ({told})", "Put each on its own.")
        kind = next(iter(kinds.values()))
    if kind == IMAGES:
        return _converted(path, {name: _listed(part, part / LABELS) for name, part in parts.items()}, ())
    if kind:
        return _as_it_is(path, kind, {name: _files(part, kind) for name, part in parts.items()})
    return _by_class(path)


def _is_divided(folder: Path) -> bool:
    """Return True for subfolders alone that are no partitions of a frame, such as `label=3`."""
    parts = _folders(folder)
    return (
        bool(parts) and not any(_entries(folder, files=True)) and not any("=" in part.name for part in parts)
    )


def _kind(folder: Path) -> str | None:
    """Return the kind of a folder by its own files; None where its subfolders decide."""
    if (folder / DATABASE).is_file():
        return LMDB
    if (folder / LABELS).is_file():
        return IMAGES
    kinds = {_magic(file) for file in _below(folder)}
    return kinds.pop() if len(kinds) == 1 else None


def _files(folder: Path, kind: str) -> list[Path]:
    return [folder / DATABASE] if kind == LMDB else list(_below(folder))


def _as_it_is(path: Path, kind: str, parts: Mapping[str, list[Path]]) -> Content:
    files = {}
    for name, content in parts.items():
        root = (path / name if name else path) if path.is_dir() else path.parent
        for file in content:
            below = file.relative_to(root).as_posix()
            files[f"{name or kind}/{below}"] = file
    odd = [name for name in files if not all(map(_PLAIN.fullmatch, name.split("/")))]
    if odd:
        why = f"{odd[0]!r} has a character that names in shared storage must not have"
        raise ConfigError(str(path), why, "Rename it with letters, digits and . _ - = , + @ only.")
    if len(files) > MOST_FILES:
        why = f"it has {len(files):,} files, more than {MOST_FILES:,}"
        raise ConfigError(str(path), why, "Write it in fewer files: `frame.coalesce(100)` in Spark.")
    return Content(kind, files)


def _by_class(path: Path) -> Content:
    """Return images in folders by class, below `path` or below each of its folders."""
    direct = {part.name for part in _folders(path) if any(_entries(part, files=True))}
    if direct and direct <= _PHASES:
        why = f"{', '.join(sorted(direct))} hold images without classes"
        raise ConfigError(
            str(path), why, f"Put them into a folder for each class, or add {LABELS}: FILE LABEL."
        )
    parts = {"": path} if direct else {part.name: part for part in _folders(path)}
    found = {name: {each.name: _below(each) for each in _folders(part)} for name, part in parts.items()}
    names = sorted({label for classes in found.values() for label in classes})
    loose = [file for part in (path, *parts.values()) for file in _entries(part, files=True)]
    if not names or loose:
        why = f"{loose[0]} is in no class" if loose and names else f"it holds none of these: {_KINDS}"
        raise ConfigError(str(path), why, "See `docs/tools.md`, Own data, for the forms.")
    if odd := [name for name in names if not name.isprintable()]:
        raise ConfigError(str(path), f"{odd[0]!r} is not a valid name of a class", "Rename the folder.")
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
    mixed = {name: sorted(each, key=_mixed) for name, each in images.items()}
    return _converted(path, mixed, tuple(names))


def _mixed(image: Image) -> bytes:
    return hashlib.sha256(image.name.encode("utf-8", "surrogateescape")).digest()


def _listed(folder: Path, labels: Path) -> list[Image]:
    """Return images in the order of a file with lines `FILE LABEL`."""
    images = []
    try:
        lines = labels.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(str(labels), "it is not text in UTF-8", "Fix the file.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        *names, label = line.strip().rsplit(maxsplit=1)
        name = "".join(names)
        given = f"{labels}, line {number}"
        if not (name and label.isascii() and label.isdecimal() and int(label) <= MOST_LABEL):
            raise ConfigError(
                given, f"{line!r} is not a file and a label, a whole number from 0", "Fix the line."
            )
        file = folder / name
        if not file.is_file():
            raise ConfigError(given, f"there is no file {file}", "Fix the line.")
        images.append(Image(name, int(label), file))
    return images


def _converted(path: Path, parts: Mapping[str, list[Image]], classes: tuple[str, ...]) -> Content:
    sizes: Counter[tuple[int, int]] = Counter()
    for name, images in parts.items():
        if not images:
            raise ConfigError(str(path / name), "it holds no images", "Add some, or name another folder.")
        if name and not _PLAIN.fullmatch(name):
            raise ConfigError(
                str(path / name), "its name is not a valid one", "Use letters, digits and . _ - only."
            )
        for image in images:
            sizes[_size(image.path)] += 1
    named = {f"{name}_lmdb" if name else LMDB: tuple(images) for name, images in parts.items()}
    return Content(IMAGES, images=named, classes=classes, sizes=dict(sizes))


def _size(file: Path) -> tuple[int, int]:
    """Return width and height of an image, from its header."""
    # Importing it takes a tenth of a second.
    from PIL import Image as Pillow

    try:
        with Pillow.open(file, formats=_FORMATS) as image:
            return image.width, image.height
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        why = f"it is not a {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} image"
        raise ConfigError(str(file), why, "Remove or convert it.") from error


def _magic(file: Path) -> str | None:
    with file.open("rb") as opened:
        start = opened.read(4)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def _entries(folder: Path, *, files: bool) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith((".", "_")) and (entry.is_file() if files else entry.is_dir()):
            yield entry


def _folders(folder: Path) -> list[Path]:
    return list(_entries(folder, files=False))


def _below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, in order."""
    yield from _entries(folder, files=True)
    for part in _folders(folder):
        yield from _below(part)
