"""AWS's rules for the tags that a company demands. Pure.

Sources, read 2026-11: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
(characters, lengths, `aws:`, 50 tags), https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html (IAM
compares keys without regard to case).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from infra.settings.commands import path, rm_command
from infra.settings.refusal import Refusal
from infra.settings.section import Hint

OWN: Final = ("project", "stack", "managedby", "name", "role")
"""The stack's own keys, in lower case."""
MAX_TAGS: Final = 50 - len(OWN)
MAX_KEY: Final = 128
MAX_VALUE: Final = 256
SHOWN: Final = 20
CHARACTERS: Final = "letters, digits, spaces and _.:/=+-@"
_TEXT: Final = re.compile(r"[\w .:/=+\-@]*")


def tags(given: Mapping[str, str]) -> Mapping[str, str]:
    """Validate the tags of a stack.

    Raises:
        Refusal: a tag is the stack's own, or a service would refuse it.
    """
    if len(given) > MAX_TAGS:
        why = f"AWS allows 50 tags, and {len(OWN)} are the stack's own; valid: {MAX_TAGS} at most"
        raise Refusal("tags", f"{len(given)} tags", why, _without(list(given)[-1]))
    seen: dict[str, str] = {}
    for key, value in given.items():
        why = _fault_of_key(key) or _fault_of_value(value)
        if not why and key.lower() in seen:
            why = f"{seen[key.lower()]} is given, and IAM takes them for the same key; valid: one of them"
        if why:
            raise Refusal(path(["tags", key]), _short(value), why, _without(key))
        seen[key.lower()] = key
    return given


def _fault_of_key(key: str) -> str:
    if key.lower() in OWN:
        return "the stack sets that tag itself; valid: any other key"
    if key.lower().startswith("aws:"):
        return "AWS reserves keys that begin with aws:; valid: another key"
    if not 1 <= len(key) <= MAX_KEY or not _TEXT.fullmatch(key) or key != key.strip():
        return f"AWS refuses that key; valid: 1 to {MAX_KEY} characters, {CHARACTERS}"
    return ""


def _fault_of_value(value: str) -> str:
    if len(value) > MAX_VALUE:
        return f"it has {len(value)} characters; valid: {MAX_VALUE} at most"
    if not _TEXT.fullmatch(value) or value != value.strip():
        return f"AWS refuses that value; valid: {CHARACTERS}"
    return ""


def _short(value: str) -> str:
    return value if len(value) <= MAX_VALUE else f"{value[:SHOWN]}…"


def _without(key: str) -> str:
    return rm_command(path(["tags", key]))


def _written(value: object) -> object:
    """Convert numbers to text: `pulumi config set --path tags.CostCentre 42` writes a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


TagsSetting = Annotated[
    Mapping[str, Annotated[str, BeforeValidator(_written)]],
    AfterValidator(tags),
    Hint("42", "keys and texts (with `--type string` for true or false)", at=("CostCentre",)),
]
