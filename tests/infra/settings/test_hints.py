"""Hints of every provider's settings: each field has one, and takes its example."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from infra.registry import PROVIDERS
from infra.settings.section import Hint, Section, hint_of, keys, sections

SUBSTITUTION = "$(curl -s https://checkip.amazonaws.com)"
ADDRESS = "203.0.113.7"
"""Stands for the output of the command substitution."""
BASE: dict[str, dict[str, str]] = {
    "local": {},
    "aws": {"region": "eu-west-1"},
    "azure": {"region": "westeurope"},
}


def fields(section: type[Section], path: str) -> Iterator[tuple[str, type[Section], FieldInfo]]:
    """Every field of a section and of the sections in it."""
    for field in section.model_fields.values():
        yield f"{path}.{field.alias}", section, field
        for inner in sections(field):
            yield from fields(inner, f"{path}.{field.alias}")


FIELDS = [one for name, provider in PROVIDERS.items() for one in fields(provider.settings, name)]


def value(hint: Hint) -> Any:
    """The value that the hint's command would set for the key."""
    (made,) = shlex.split(hint.example.replace(SUBSTITUTION, ADDRESS)) or ["Tr0ub4dor+and-3"]
    found: Any = made
    for step in reversed(hint.at):
        found = [found] if isinstance(step, int) else {step: found}
    return found


@pytest.mark.parametrize(("path", "section", "field"), FIELDS, ids=[path for path, _, _ in FIELDS])
def test_a_field_has_a_hint_and_takes_its_example(
    path: str, section: type[Section], field: FieldInfo
) -> None:
    hint = hint_of(field)
    assert hint is not None
    assert "\n" not in hint.words
    base = {key: one for key, one in BASE[path.partition(".")[0]].items() if key in keys(section)}
    where = (field.alias, *hint.at)
    try:
        section.model_validate({**base, str(field.alias): value(hint)})
    except ValidationError as error:
        # What is missing beside it, or does not fit together with it, is another field's matter.
        at_it = [one for one in error.errors() if one["loc"] and one["loc"] == where[: len(one["loc"])]]
        below = [one for one in error.errors() if one["loc"][: len(where)] == where]
        assert at_it + below == []


def test_an_address_to_let_in_is_ones_own_and_not_one_from_a_document() -> None:
    for name in ("aws", "azure"):
        fields = PROVIDERS[name].settings.model_fields
        hint = hint_of(fields["admin_cidrs"])
        assert hint is not None
        assert hint.example == f"{SUBSTITUTION}/32"
