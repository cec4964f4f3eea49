"""`pulumi config` commands, as error messages suggest them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

_PLAIN: Final = re.compile(r"[\w-]+")


def set_command(key: str, value: object) -> str:
    """Return the command that sets a key; the value is not quoted, so that it may be a shell substitution."""
    return f"pulumi config set {_flags(key)} {value}"


def secret_command(key: str) -> str:
    """Return the command that prompts for a secret value and encrypts it."""
    return f"pulumi config set --secret {_flags(key)}"


def rm_command(key: str) -> str:
    """Return the command that removes a key."""
    return f"pulumi config rm {_flags(key)}"


def path(loc: Sequence[int | str]) -> str:
    """Format a location for `pulumi config set --path`: `zones[0]`, `tags["a.b"]`."""
    first, *below = loc
    return "".join([str(first), *map(_step, below)])


def _step(part: int | str) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN.fullmatch(part) else f'["{part}"]'


def _flags(key: str) -> str:
    """Quote a key; with --path, Pulumi takes dots and brackets for steps into a mapping or a list."""
    return f"--path {shlex.quote(key)}" if set("[.") & set(key) else key
