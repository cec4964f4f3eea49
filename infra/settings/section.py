"""Base classes of configuration schemas, and hints on their fields."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from bootstrap.cluster import SparkLine
from infra.settings.commands import path, secret_command, set_command

if TYPE_CHECKING:
    from infra.settings.budget import Budget

MAX_WORKERS: Final = 200
ENCRYPTED: Final = "[secret]"
"""Placeholder for a secret in the output of `pulumi config`, and for one that only the engine can decrypt."""
YES_OR_NO: Final = "true, false"

Loc = Sequence[int | str]
"""Keys and indexes from the top of a configuration down to a value."""


class Section(BaseModel):
    """A frozen section of a stack file, whose keys are camelCase there."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class StackSettings(Section):
    """Settings of a whole stack; each provider has its own subclass, selected by `provider`."""

    provider: str
    if TYPE_CHECKING:
        # A field of each subclass, after those that its default depends on: a base class's fields come first.
        spark: SparkLine
        """Release of Spark on the nodes."""
        budget: Budget | None
        """What the stack may cost."""
        idle_stop: int | None
        """Seconds after the last job's end, after which workers stop."""


@dataclass(frozen=True)
class Hint:
    """Metadata of a `Section` field: an example for `pulumi config set`, and the valid values.

    `workers: Annotated[int, Hint("2", "1 to 200")] = 2`
    """

    example: str
    """A valid value; empty for a secret, which `pulumi config` prompts for."""
    valid: str | Callable[[], str] = ""
    """Valid values in words, where pydantic's message does not name them; a function if a table has them."""
    at: tuple[int | str, ...] = ()
    """Location of the example below the field: `(0,)` in a list, `("CostCentre",)` in a mapping."""

    @property
    def words(self) -> str:
        """Valid values in words, or empty."""
        return self.valid if isinstance(self.valid, str) else self.valid()

    def command(self, loc: Loc) -> str:
        """Return the command that sets the value at `loc` to the example."""
        key = path(loc)
        return set_command(key, self.example) if self.example else secret_command(key)


@dataclass(frozen=True)
class Setting:
    """A location in a configuration, and the hint of the innermost field that has one."""

    loc: Loc
    """Location of the value, without the tags that pydantic adds for a discriminated union."""
    hint: Hint
    field: Loc
    """Location of the field that has the hint."""

    @property
    def command(self) -> str:
        """Command that sets this value; of a whole list or mapping, its first entry."""
        below = self.loc[len(self.field) :] or self.hint.at
        return self.hint.command([*self.field, *below])


def setting(section: type[Section], loc: Loc) -> Setting:
    """Return the setting at a location that pydantic reports.

    Raises:
        LookupError: no field at or above the location has a hint.
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
    """Return the section's keys as in the stack file, in the order of its fields."""
    return [str(field.alias) for field in section.model_fields.values()]


def hint_of(field: FieldInfo) -> Hint | None:
    """Return the hint in a field's metadata."""
    return next((one for one in field.metadata if isinstance(one, Hint)), None)


def sections(field: FieldInfo) -> tuple[type[Section], ...]:
    """Return the sections in a field's type: the members of a union, the entries of a list."""
    return tuple(_sections(field.annotation))


def _sections(annotation: Any) -> Iterator[type[Section]]:  # noqa: ANN401 - whatever a field may be
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _sections(part)


def _field(inner: Sequence[type[Section]], key: int | str) -> FieldInfo | None:
    return next((f for one in inner for f in one.model_fields.values() if f.alias == key), None)


def _tags(section: type[Section]) -> set[object]:
    """Return the values of the section's literals, one of which is its tag in a discriminated union."""
    return {value for field in section.model_fields.values() for value in typing.get_args(field.annotation)}
