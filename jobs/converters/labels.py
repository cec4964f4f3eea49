"""Files of labels as CaffeOnSpark's tools read them: a line for each image, its parts between blanks."""

from __future__ import annotations

from posixpath import normpath
from typing import Dict, Iterable, Iterator, NamedTuple, Tuple

from jobs.trainer.errors import Refused

_MOST = 2**31 - 1
_WITHOUT_ID, _WITH_ID = 2, 3
_FORMS = {
    _WITHOUT_ID: "a file and a label, a whole number",
    _WITH_ID: "a file, a label, a whole number, and an id",
}


class Labelled(NamedTuple):
    """An image with its label."""

    file: str
    label: int
    id: str


def read(lines: Iterable[str], uri: str, parts: int) -> Iterator[Labelled]:
    """Yield the images of lines `FILE LABEL` (2 parts; the id is the file) or `FILE LABEL ID` (3 parts).

    Empty lines are left out. CaffeOnSpark makes rows of nothing of lines that are not valid.

    Raises:
        Refused: a line is not a valid one, or an image has two labels.
    """
    seen: Dict[str, Tuple[int, int]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        label = _label(words[1]) if len(words) == parts else None
        if label is None:
            raise Refused("label-line-invalid", uri=uri, line=number, text=line[:200], form=_FORMS[parts])
        other, first = seen.setdefault(path_of(words[0]), (number, label))
        if label != first:
            raise Refused(
                "label-differs", uri=uri, line=number, image=words[0], label=label, other=other, first=first
            )
        yield Labelled(words[0], label, words[-1] if parts == _WITH_ID else words[0])


def path_of(name: str) -> str:
    """Return the path of an image below the folder, by its name in a file of labels."""
    return normpath(name.lstrip("/"))


def _label(text: str) -> "int | None":
    digits = text[1:] if text[:1] in {"-", "+"} else text
    digits = digits.lstrip("0") or digits[-1:]
    # int refuses very many digits.
    if not (digits.isdecimal() and digits.isascii() and len(digits) <= len(str(_MOST))):
        return None
    value = -int(digits) if text[0] == "-" else int(digits)
    return value if -_MOST - 1 <= value <= _MOST else None
