"""What a log means: a table of failures that people had to dig for, each with its reason and its remedy.

`table.yaml` is in order: what stands first explains what comes after it. A pattern is searched for in the
whole text, `^` being the start of a line; `{names}` in reason and remedy are its groups. The tests hold an
excerpt for each entry.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

TABLE = Path(__file__).parent / "table.yaml"
LONGEST = 2_000_000
"""Characters of a log that are searched, from its end: reasons stand there."""
LONGEST_LINE = 2_000
"""Characters of a line that are searched, from either end: no tool needs more to say what is wrong."""


class Entry(BaseModel):
    """A known failure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]+$")
    patterns: tuple[str, ...] = Field(min_length=1)
    """Regular expressions, `.` within a line; one that matches is enough."""
    why: str
    fix: str

    @field_validator("patterns")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            re.compile(pattern)
        return patterns


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a failure: its name in the table, why it fails, and what to type."""

    name: str
    why: str
    fix: str


def diagnose(
    text: str, *, stack: str = "", node: str = "a node", only: Collection[str] = ()
) -> Diagnosis | None:
    """The first entry of the table that the text shows; None for a failure that nobody has seen yet.

    `stack` completes the commands; `node` is where it happened, unless the text says so itself.
    `only` names the entries that are looked for; else all are.
    """
    text = "\n".join(_ends(line) for line in text[-LONGEST:].split("\n"))
    for entry, patterns in _table():
        if only and entry.name not in only:
            continue
        for pattern in patterns:
            found = pattern.search(text)
            if found:
                groups = {name: " ".join(value.split()) for name, value in found.groupdict().items() if value}
                words = {"node": node, "stack": f" --stack {stack}" if stack else "", **groups}
                return Diagnosis(entry.name, _filled(entry.why, words), _filled(entry.fix, words))
    return None


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """The table, read and checked.

    Raises:
        ValidationError: a bug in it.
    """
    return tuple(Entry.model_validate(one) for one in yaml.safe_load(TABLE.read_text()))


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[Entry, tuple[re.Pattern[str], ...]], ...]:
    return tuple(
        (entry, tuple(re.compile(pattern, re.MULTILINE) for pattern in entry.patterns)) for entry in entries()
    )


def _ends(line: str) -> str:
    return line if len(line) <= 2 * LONGEST_LINE else f"{line[:LONGEST_LINE]} … {line[-LONGEST_LINE:]}"


def _filled(template: str, words: dict[str, str]) -> str:
    return " ".join(re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], "?"), template).split())
