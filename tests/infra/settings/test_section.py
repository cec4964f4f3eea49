"""Mistakes in settings of any provider, and the commands that fix them."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

import pytest
from pydantic import Field, SecretStr, ValidationError

from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import one_line
from infra.settings.section import Hint, Section


class Inner(Section):
    least: Annotated[int, Hint("1")] = 1
    names: Annotated[tuple[str, ...], Hint("x", "a list", at=(0,))] = ()


class Round(Section):
    kind: Annotated[Literal["round"], Hint("round")]
    radius: Annotated[int, Hint("3", lambda: "a number from a table")]


class Square(Section):
    kind: Annotated[Literal["square"], Hint("square")]
    side: Annotated[int, Hint("4")]


class Outer(Section):
    name: Annotated[str, Hint("x", "a name")] = ""
    scale: Annotated[tuple[Inner, ...], Hint("1", "a list", at=(0, "least"))] = ()
    inner: Annotated[Inner, Hint("1", "least", at=("least",))] = Inner()
    shape: Annotated[Round | Square | None, Field(discriminator="kind"), Hint("round", at=("kind",))] = None
    labels: Annotated[dict[str, str], Hint("42", at=("cost",))] = Field(default_factory=dict)
    password: Annotated[SecretStr | None, Hint("")] = None


@pytest.mark.parametrize(
    ("key", "flags"),
    [
        ("workers", ["workers"]),
        ("zones[0]", ["--path", "zones[0]"]),
        ("autoscale.min", ["--path", "autoscale.min"]),
        ("""tags["operator's"]""", ["--path", """tags["operator's"]"""]),
    ],
)
def test_a_key_with_steps_in_it_is_a_path_and_the_shell_leaves_it_alone(key: str, flags: list[str]) -> None:
    assert shlex.split(set_command(key, 3)) == ["pulumi", "config", "set", *flags, "3"]
    assert shlex.split(rm_command(key)) == ["pulumi", "config", "rm", *flags]


def test_a_value_may_be_for_the_shell_to_work_out() -> None:
    assert set_command("zones[0]", "$(hostname)").endswith(" $(hostname)")


def mistake(**values: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    return str(one_line(caught.value, Outer, "dev"))


def test_a_nested_key_that_there_is_not_is_taken_away() -> None:
    line = mistake(inner={"most": 3})
    assert "inner.most: unknown key; valid: least" in line
    assert "`pulumi config rm --path inner.most --stack dev`" in line


def test_one_in_a_list_is_taken_away_too() -> None:
    assert "`pulumi config rm --path 'scale[1].most' --stack dev`" in mistake(scale=[{}, {"most": 3}])


def test_a_nested_value_that_is_wrong_has_its_own_example_and_place() -> None:
    assert "`pulumi config set --path inner.least 1 --stack dev`" in mistake(inner={"least": "few"})
    assert "`pulumi config set --path 'scale[1].names[2]' x " in mistake(scale=[{}, {"names": ["a", "b", 1]}])
    assert "`pulumi config set --path labels.a 42 " in mistake(labels={"a": 1})
    assert """`pulumi config set --path 'labels["a.b"]' 42 """ in mistake(labels={"a.b": 1})


def test_a_whole_that_is_wrong_is_begun_with_its_first_part() -> None:
    assert "`pulumi config set --path inner.least 1 --stack dev`" in mistake(inner="few")
    assert "`pulumi config set --path 'scale[0].least' 1 --stack dev`" in mistake(scale="few")


def test_a_unions_member_is_no_part_of_the_key() -> None:
    line = mistake(shape={"kind": "round", "radius": "wide"})
    assert "shape.radius = 'wide'" in line
    assert "valid: a number from a table" in line
    assert "`pulumi config set --path shape.radius 3 " in line
    assert "`pulumi config set --path shape.kind round " in mistake(shape={"kind": "oval"})


def test_a_secret_is_typed_at_a_prompt() -> None:
    assert "`pulumi config set --secret password --stack dev`" in mistake(password=1)


def test_a_dot_in_a_key_of_the_first_level_is_no_step() -> None:
    assert "`pulumi config rm inner.least --stack dev`" in mistake(**{"inner.least": 1})
