"""YAML as it is written: keys, numbers and booleans that readers take for different things."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.strict_yaml import AmbiguousYAML, load


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' is given twice, in lines 1 and 3"),
        ("a: {x: 1, x: 1}", "the key 'x' is given twice, in lines 1 and 1"),
        ("- a:\n  - k: 1\n    k: 2", "the key 'k' is given twice, in lines 2 and 3"),
        ("mode: 0755", "line 1: 0755 may be an octal number or a decimal one; write it without leading"),
        ("\nn: 010", "line 2: 010 may be"),
        ("n: -010", "-010 may be"),
        ("n: 08", "08 may be"),
        ("n: 0o17", "0o17 may be"),
        ("n: [1, 007]", "007 may be"),
        ("007: agent", "007 may be"),
        ("account: 012345678901", "or quote it as a text"),
    ],
)
def test_what_readers_would_disagree_about_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(AmbiguousYAML) as refused:
        load(text)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"),
        ("22:22:22", "22:22:22"),
        ("1:30.5", "1:30.5"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("2026-01-31", "2026-01-31"),
        ('"0755"', "0755"),
        ("'010'", "010"),
        ("0.5.0", "0.5.0"),
        ("v010", "v010"),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b11", 3),
        ("0.5", 0.5),
        ("00.5", 0.5),
        ("1.5e+3", 1500.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("~", None),
        ("", None),
    ],
)
def test_a_scalar_is_what_it_looks_like(text: str, value: Any) -> None:
    assert load(f"a: {text}") == {"a": value}
    assert type(load(f"a: {text}")["a"]) is type(value)


def test_a_key_that_is_merged_and_given_is_not_given_twice() -> None:
    text = "base: &b {x: 1, y: 2}\nmid: &m {<<: *b, x: 3}\nend: {<<: *m, y: 4}\nlist: [*b, *b]"

    assert load(text)["end"] == {"x": 3, "y": 4}


def test_a_key_that_looks_like_a_boolean_or_like_a_number_is_no_other_key() -> None:
    assert load("on: 1\ntrue: 2\n7: 3\n'7': 4") == {"on": 1, True: 2, 7: 3, "7": 4}
