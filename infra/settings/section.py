"""What the providers' configurations have in common, and how each mistake becomes one line."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from bootstrap.errors import ConfigError
from infra.tags import PROJECT

MAX_WORKERS: Final = 200
ENCRYPTED: Final = "[secret]"
"""What `pulumi config` shows of a secret, and what stands for one that only the engine can read."""

NO_SUCH_KEY: Final = "there is no such key"
_OWN_WORDS: Final = {
    "extra_forbidden": NO_SUCH_KEY,
    "tuple_type": "a list is wanted",
    "model_type": "a mapping is wanted",
    "missing": "it is required",
    "bool_parsing": "true or false is wanted",
}


class Section(BaseModel):
    """A frozen part of a stack file, whose keys are camelCase there."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


@dataclass(frozen=True)
class Hint:
    """What may stand under a key, in words where pydantic has none for it, and a command that mends it."""

    valid: str
    command: str


Guide = Mapping[str, Hint]
"""By key, in the order in which the keys are told."""


class Refusal(ValueError):
    """What a validator raises where it knows the words better than a `Guide`: value, reason, command."""

    def __init__(self, key: str, given: object, why: str, command: str) -> None:
        super().__init__(why)
        self.key, self.given, self.why, self.command = key, given, why, command


def set_command(key: str, value: object) -> str:
    """The command that gives a key a value; that stands there unquoted, and may be for the shell to find."""
    return f"pulumi config set {_flags(key)} {value}"


def rm_command(key: str) -> str:
    """The command that takes a key away."""
    return f"pulumi config rm {_flags(key)}"


def one_line(error: ValidationError, guide: Guide, stack: str, tags: Collection[str] = ()) -> ConfigError:
    """The first complaint, with what is valid and the command that mends it.

    `tags` are the names of a union's members, which pydantic puts between keys.
    """
    first = error.errors(include_url=False)[0]
    refusal = first.get("ctx", {}).get("error")
    if isinstance(refusal, Refusal):
        return _error(f"{refusal.key} = {refusal.given}", refusal.why, refusal.command, stack)
    loc = [part for part in first["loc"] if part not in tags]
    key, kind = _path(loc), first["type"]
    if kind == "extra_forbidden" and len(loc) == 1:
        why = f"{NO_SUCH_KEY}; there are: {', '.join(guide)}"
        return ConfigError(
            f"{PROJECT}:{key}", why, f"Run `pulumi config rm {shlex.quote(key)} --stack {stack}`."
        )
    hint = guide[str(loc[0])]
    why = _OWN_WORDS.get(kind, str(first["msg"]).removeprefix("Value error, "))
    given = key if kind in ("extra_forbidden", "missing") else f"{key} = {first['input']!r}"
    # The example would set another key, and leave this one where it is.
    command = rm_command(key) if kind == "extra_forbidden" else hint.command
    return _error(given, f"{why}; valid: {hint.valid}" if hint.valid else why, command, stack)


def _error(given: str, why: str, command: str, stack: str) -> ConfigError:
    return ConfigError(f"{PROJECT}:{given}", why, f"For example: `{command} --stack {stack}`.")


def _flags(key: str) -> str:
    """With --path, Pulumi takes dots and brackets for steps into a mapping or a list."""
    return f"--path {shlex.quote(key)}" if set("[.") & set(key) else key


def _path(loc: Sequence[int | str]) -> str:
    """As `pulumi config set --path` takes it: `zones[0]`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc]
    return "".join(parts).removeprefix(".")
