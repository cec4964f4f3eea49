"""Table of known failures, each with its reason and its remedy.

`table.yaml` is in order: an earlier entry explains the ones after it. An entry is found by the code of a
job's failure (`jobs/trainer/contract/failures/`), or by a pattern in what another program wrote, searched
for in the whole text with `^` as the start of a line. `{names}` in reason and remedy are fields of the
failure or groups of the pattern. The tests hold an excerpt for each entry.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, field_validator, model_validator

from bootstrap.model import Model

TABLE = Path(__file__).parent / "table.yaml"
LONGEST = 2_000_000
"""Characters of a log that are searched, from its end: reasons stand there."""
LONGEST_LINE = 2_000
"""Characters of a line that are searched, from either end: longer lines are data, not messages."""


class Entry(Model):
    """A known failure."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]+$")
    codes: tuple[str, ...] = ()
    """Codes of a job's failures."""
    patterns: tuple[str, ...] = ()
    """Regular expressions, `.` within a line; one that matches is enough."""
    why: str
    fix: str
    symptom: bool = False
    """True where another matching entry would explain it."""

    @field_validator("patterns")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            re.compile(pattern)
        return patterns

    @model_validator(mode="after")
    def _can_be_found(self) -> Entry:
        if not self.codes and not self.patterns:
            raise ValueError(f"{self.name}: it needs codes, patterns, or both")
        return self


@dataclass(frozen=True)
class Diagnosis:
    """A known failure: its name in the table, the reason, and the command to type."""

    name: str
    why: str
    fix: str
    symptom: bool = False


def diagnose(
    text: str, *, stack: str = "", node: str = "a node", only: Collection[str] = ()
) -> Diagnosis | None:
    """Return the first entry of the table that matches the text; None for an unknown failure.

    `stack` completes the commands; `node` is where it happened, unless the text names it.
    `only` names the entries to search for; default: all.
    """
    text = "\n".join(_ends(line) for line in text[-LONGEST:].split("\n"))
    for entry, patterns in _table():
        if only and entry.name not in only:
            continue
        for pattern in patterns:
            found = pattern.search(text)
            if found:
                groups = {name: " ".join(value.split()) for name, value in found.groupdict().items() if value}
                return _filled(entry, groups, stack=stack, node=node)
    return None


def diagnose_failure(
    code: str, fields: Mapping[str, Any], *, stack: str = "", node: str = "a node"
) -> Diagnosis | None:
    """Find the entry of a job's failure: by its cause, by its code, else by what other programs said in it.

    `fields` are those of the code; `node` is where it happened, unless `host` is among them.
    """
    where = str(fields.get("host") or node)
    cause = fields.get("cause")
    if isinstance(cause, Mapping):
        found = diagnose_failure(str(cause["code"]), cause["fields"], stack=stack, node=where)
        if found is not None:
            return found
    for entry in entries():
        if code in entry.codes:
            return _filled(
                entry, {name: str(value) for name, value in fields.items()}, stack=stack, node=where
            )
    said = ": ".join(str(fields[name]) for name in ("error", "reason") if fields.get(name))
    return diagnose(said, stack=stack, node=where) if said else None


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Read and validate the table.

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


def _filled(entry: Entry, given: Mapping[str, str], *, stack: str, node: str) -> Diagnosis:
    words = {"node": node, "stack": f" --stack {stack}" if stack else "", **given}

    def text(template: str) -> str:
        return " ".join(re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], "?"), template).split())

    return Diagnosis(entry.name, text(entry.why), text(entry.fix), entry.symptom)
