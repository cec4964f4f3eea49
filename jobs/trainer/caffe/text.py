"""Prototxt files as messages, read as Caffe reads them: bytes, whatever the encoding of their comments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from jobs.trainer.errors import Refused

_MARK = b"\xef\xbb\xbf"
"""Byte order mark of UTF-8, which editors of Windows write."""
_STRING_OR_COMMENT = re.compile(rb"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|#[^\n]*""")


def read(path: Path, message: Any, solver: str = "") -> Any:  # noqa: ANN401
    """Parse a file into a message; `solver` names the file that refers to it.

    Raises:
        Refused: it cannot be read, or is not valid.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = str(error.strerror)
        if solver:
            raise Refused("net-unreadable", file=str(path), reason=reason, solver=solver) from error
        raise Refused("solver-unreadable", file=str(path), reason=reason) from error
    try:
        return text_format.Parse(_decoded(raw), message)
    except UnicodeDecodeError as error:
        raise Refused("prototxt-binary", file=str(path)) from error
    except text_format.ParseError as error:
        raise Refused("prototxt-syntax", file=str(path), position=str(error)) from error


def _decoded(raw: bytes) -> str:
    """Return the text; where it is not UTF-8 without its comments, which may be of any encoding."""
    raw = raw[len(_MARK) :] if raw.startswith(_MARK) else raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _STRING_OR_COMMENT.sub(lambda found: found.group(1) or b"", raw).decode()
