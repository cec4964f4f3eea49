"""Validation errors in one line: what was given, why it is refused, and the command that fixes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from bootstrap.errors import ConfigError
from infra.settings.commands import path, rm_command
from infra.settings.section import Section, keys, setting
from infra.tags import PROJECT

UNKNOWN_KEY: Final = "unknown key"
_OWN_WORDS: Final = {
    "extra_forbidden": UNKNOWN_KEY,
    "tuple_type": "it must be a list",
    "model_type": "it must be a mapping",
    "missing": "it is required",
    "bool_parsing": "it must be true or false",
}


class Refusal(ValueError):
    """Validation error with a message more specific than the field's hint: key, value, reason, command."""

    def __init__(self, key: str, given: object, why: str, command: str) -> None:
        super().__init__(why)
        self.key, self.given, self.why, self.command = key, given, why, command

    def error(self, stack: str) -> ConfigError:
        """Convert to the line that the operator reads."""
        return _error(f"{self.key} = {self.given}", self.why, self.command, stack)


def listed(names: Iterable[str]) -> str:
    """Join names for a message."""
    return ", ".join(names)


def one_line(error: ValidationError, section: type[Section], stack: str) -> ConfigError:
    """Convert the first validation error, with the valid values and the command that fixes it."""
    first = error.errors(include_url=False)[0]
    refusal = first.get("ctx", {}).get("error")
    if isinstance(refusal, Refusal):
        return refusal.error(stack)
    loc, kind = first["loc"], first["type"]
    if kind == "extra_forbidden" and len(loc) == 1:
        why = f"{UNKNOWN_KEY}; valid keys: {', '.join(keys(section))}"
        command = f"pulumi config rm {shlex.quote(str(loc[0]))} --stack {stack}"
        return ConfigError(f"{PROJECT}:{loc[0]}", why, f"Run `{command}`.")
    wrong = setting(section, loc)
    key, hint = path(wrong.loc), wrong.hint
    why = _OWN_WORDS.get(kind, str(first["msg"]).removeprefix("Value error, "))
    given = key if kind in ("extra_forbidden", "missing") else f"{key} = {first['input']!r}"
    # The example sets another key and leaves this one in place.
    command = rm_command(key) if kind == "extra_forbidden" else wrong.command
    return _error(given, f"{why}; valid: {hint.words}" if hint.words else why, command, stack)


def _error(given: str, why: str, command: str, stack: str) -> ConfigError:
    return ConfigError(f"{PROJECT}:{given}", why, f"For example: `{command} --stack {stack}`.")
