"""Kind and content of a user's file or folder, and its form in storage: images as LMDBs, the rest as it is.

A folder holds one kind, or subfolders (`train`, `test` …) of one kind each.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bootstrap.errors import ConfigError
from bootstrap.sums import sha256_of
from jobs.datasets import tree
from jobs.datasets.labelled import LABELS, Image, all_listed, by_class, listed, unlisted
from jobs.datasets.on_head.images import CLASSES

LMDB, PARQUET, SEQUENCE, IMAGES = "lmdb", "parquet", "sequence", "images"
DATABASE = "data.mdb"
_OF_LMDB: Final = (DATABASE, "lock.mdb")
MOST_FILES = 2000
"""Files that a set may have: each is a word of one command line on the head."""
_MAGIC: Final = {b"PAR1": PARQUET, b"SEQ": SEQUENCE}
_FORMATS: Final = ("JPEG", "PNG", "BMP")
"""Image formats that OpenCV decodes wherever Caffe is compiled."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9@+=][A-Za-z0-9@+=._,-]*")
_KINDS: Final = f"an LMDB, images by class, images with {LABELS}, Parquet, sequence files"


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
    unlisted: int = 0
    """Images that a file of labels elsewhere leaves out."""

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
        images = listed(path, labels)
        return replace(_converted(path, {"": images}, ()), unlisted=len(unlisted(path, images)))
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
    parts = {"": path} if kind else {part.name: part for part in tree.folders(path)}
    kinds = {name: kind or _kind(part) for name, part in parts.items()}
    if not kind and parts and all(kinds.values()):
        if loose := tree.files(path):
            why = f"{loose[0].name} is beside its folders, and would be left out"
            raise ConfigError(str(path), why, "Move it elsewhere.")
        if len(set(kinds.values())) > 1:
            told = ", ".join(f"{name}: {each}" for name, each in kinds.items())
            raise ConfigError(str(path), f"its folders are of several kinds ({told})", "Put each on its own.")
        kind = next(iter(kinds.values()))
    if kind == IMAGES:
        return _converted(path, {name: all_listed(part) for name, part in parts.items()}, ())
    if kind:
        return _as_it_is(path, kind, {name: _files(part, kind) for name, part in parts.items()})
    return _converted(path, *by_class(path, _KINDS))


def _is_divided(folder: Path) -> bool:
    """Return True for subfolders alone that are no partitions of a frame, such as `label=3`."""
    parts = tree.folders(folder)
    return bool(parts) and not tree.files(folder) and not any("=" in part.name for part in parts)


def _kind(folder: Path) -> str | None:
    """Return the kind of a folder by its own files; None where its subfolders decide."""
    if (folder / DATABASE).is_file():
        return LMDB
    if (folder / LABELS).is_file():
        return IMAGES
    kinds = {_magic(file) for file in tree.below(folder)}
    return kinds.pop() if len(kinds) == 1 else None


def _files(folder: Path, kind: str) -> list[Path]:
    if kind != LMDB:
        return list(tree.below(folder))
    if others := [file for file in tree.below(folder) if file.parent != folder or file.name not in _OF_LMDB]:
        why = f"{others[0].relative_to(folder)} is beside its {DATABASE}, and would be left out"
        raise ConfigError(str(folder), why, "Move it elsewhere.")
    return [folder / DATABASE]


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
