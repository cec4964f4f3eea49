"""Base of every provider's configuration schema, and the hints on its fields."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from infra.settings.commands import path, secret_command, set_command

MAX_WORKERS: Final = 200
ENCRYPTED: Final = "[secret]"
"""Shown by `pulumi config` in place of a secret; the value of one that only the engine can decrypt."""
YES_OR_NO: Final = "true, false"

Loc = Sequence[int | str]
"""Keys and indexes from the top of a stack's configuration down to a value."""


class Section(BaseModel):
    """A frozen part of a stack file, whose keys are camelCase there."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class StackSettings(Section):
    """Settings of a whole stack; every provider has its own, all told apart by `provider`."""

    provider: str


@dataclass(frozen=True)
class Hint:
    """Metadata of a `Section`'s field: an example value for `pulumi config set`, and the valid values.

    `workers: Annotated[int, Hint("2", "1 to 200")] = 2`
    """

    example: str
    """A valid value; empty for a secret, which is typed at a prompt."""
    valid: str | Callable[[], str] = ""
    """Valid values in words, where pydantic's message does not name them; a function, where a table does."""
    at: tuple[int | str, ...] = ()
    """Where the example goes, below the field: `(0,)` in a list, `("CostCentre",)` in a mapping."""

    @property
    def words(self) -> str:
        """The valid values, or nothing."""
        return self.valid if isinstance(self.valid, str) else self.valid()

    def command(self, loc: Loc) -> str:
        """The command that sets the value at `loc` to the example."""
        key = path(loc)
        return set_command(key, self.example) if self.example else secret_command(key)


@dataclass(frozen=True)
class Setting:
    """A value in a configuration, and the hint of the innermost field around it that has one."""

    loc: Loc
    """Location, without the tags that pydantic adds for a discriminated union."""
    hint: Hint
    field: Loc
    """Location of the hint's field."""

    @property
    def command(self) -> str:
        """The command that sets this value; of a whole list or mapping, its first entry."""
        below = self.loc[len(self.field) :] or self.hint.at
        return self.hint.command([*self.field, *below])


def setting(section: type[Section], loc: Loc) -> Setting:
    """The setting at a location that pydantic reports.

    Raises:
        LookupError: no field of the section around it has a hint.
    """
    names: list[int | str] = []
    hint, around = None, 0
    inner: tuple[type[Section], ...] = (section,)
    for part in loc:
        if isinstance(part, str) and len(inner) > 1:
            inner = tuple(one for one in inner if part in _tags(one))
            continue
        names.append(part)
        field = _field(inner, part)
        if field is not None:
            inner = sections(field)
            if own := hint_of(field):
                hint, around = own, len(names)
    if hint is None:
        raise LookupError(f"{section.__name__} has no hint for {path(loc)}")
    return Setting(tuple(names), hint, tuple(names[:around]))


def keys(section: type[Section]) -> list[str]:
    """The section's keys as the stack file has them, in the order of its fields."""
    return [str(field.alias) for field in section.model_fields.values()]


def hint_of(field: FieldInfo) -> Hint | None:
    """The hint among a field's metadata."""
    return next((one for one in field.metadata if isinstance(one, Hint)), None)


def sections(field: FieldInfo) -> tuple[type[Section], ...]:
    """The sections that a field's type is made of: of a union each, of a list its entries'."""
    return tuple(_sections(field.annotation))


def _sections(annotation: Any) -> Iterator[type[Section]]:  # noqa: ANN401 - whatever a field may be
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _sections(part)


def _field(inner: Sequence[type[Section]], key: int | str) -> FieldInfo | None:
    return next((f for one in inner for f in one.model_fields.values() if f.alias == key), None)


def _tags(section: type[Section]) -> set[object]:
    """Values of the section's literals, one of which is its tag in a discriminated union."""
    return {value for field in section.model_fields.values() for value in typing.get_args(field.annotation)}
