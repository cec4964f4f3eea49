"""Durations with their units, wherever a file has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bootstrap.durations import seconds
from infra.settings.budget import IdleStop
from jobs.spec import Duration


@pytest.mark.parametrize(
    ("text", "found"),
    [("30 s", "30"), ("30s", "30"), (" 15 min ", "900"), ("2 h", "7200"), ("1.5 h", "5400.0"), ("0 s", "0")],
)
def test_a_number_with_its_unit_is_a_duration(text: str, found: str) -> None:
    assert seconds(text) == Decimal(found)


@pytest.mark.parametrize(
    "text", ["", "30", "30 S", "30 sec", "30 m", "-1 s", "1e3 s", "1. s", "٣ s", "1 h 5 min"]
)
def test_any_other_text_is_none(text: str) -> None:
    assert seconds(text) is None


@pytest.mark.parametrize("text", ["30 min", "0.5 h", "1800 s", "1800.0s"])
def test_stacks_and_jobs_read_them_alike(text: str) -> None:
    assert TypeAdapter(IdleStop).validate_python(text) == TypeAdapter(Duration).validate_python(text) == 1800


@pytest.mark.parametrize("text", ["30", "30 m", "half an hour"])
def test_stacks_and_jobs_refuse_the_same(text: str) -> None:
    kinds: list[Any] = [IdleStop, Duration]
    for kind in kinds:
        with pytest.raises(ValidationError, match=r"30 s|with its unit"):
            TypeAdapter(kind).validate_python(text)


def test_a_stacks_times_are_whole_seconds() -> None:
    with pytest.raises(ValidationError, match="whole seconds"):
        TypeAdapter(IdleStop).validate_python("1000.5 s")
