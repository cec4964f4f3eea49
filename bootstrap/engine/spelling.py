"""Spellings of a text in files and scripts of nodes: filters of templates, and what has to be masked."""

from __future__ import annotations

import re
from functools import lru_cache

from markupsafe import escape

from bootstrap.engine.operations.shell import escaped, quote

_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_+/=.:@%,~-]*")


def in_xml(text: str) -> str:
    """Return a text as XML writes it; templates `*.xml.j2` do so by themselves."""
    return str(escape(text))


def in_properties(text: str) -> str:
    """Return a value as Java's properties write it, in ASCII: filter `properties`."""
    units = text.encode("utf-16-be")
    written = "".join(
        _property(int.from_bytes(units[index : index + 2], "big")) for index in range(0, len(units), 2)
    )
    return f"\\{written}" if written.startswith(" ") else written


def in_environment_file(text: str) -> str:
    """Return a value as systemd's EnvironmentFile writes it: filter `environment`."""
    if _PLAIN_VALUE.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\$`])', r"\\\1", text) + '"'


@lru_cache(maxsize=64)
def spellings(secret: str) -> tuple[str, ...]:
    """Return how a secret stands in scripts, and in the files that they write, longest first.

    A file's text is in a script between single quotes, with escapes where it is not plain ASCII.
    """
    in_files = {secret, in_xml(secret), in_properties(secret), in_environment_file(secret).strip('"')}
    in_scripts = {
        spelt for text in in_files for spelt in (quote(f"{text} ")[1:-2], quote(f"{escaped(text)} ")[1:-2])
    }
    return tuple(sorted(in_files | in_scripts, key=len, reverse=True))


def _property(unit: int) -> str:
    """Return a UTF-16 code unit as it stands in a value."""
    char = chr(unit)
    if char == "\\":
        return "\\\\"
    return char if char.isascii() and char.isprintable() else f"\\u{unit:04x}"
