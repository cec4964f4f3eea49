"""What every provider's mistakes have in common: the commands that mend them."""

from __future__ import annotations

import shlex

import pytest
from pydantic import ValidationError

from infra.settings.section import Hint, Section, one_line, rm_command, set_command


class Inner(Section):
    least: int = 1


class Outer(Section):
    name: str = ""
    scale: tuple[Inner, ...] = ()
    inner: Inner = Inner()


GUIDE = {
    "name": Hint("a name", "pulumi config set name x"),
    "scale": Hint("a list", "pulumi config set --path 'scale[0].least' 1"),
    "inner": Hint("least", "pulumi config set --path inner.least 1"),
}


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
    return str(one_line(caught.value, GUIDE, "dev"))


def test_a_nested_key_that_there_is_not_is_taken_away() -> None:
    line = mistake(inner={"most": 3})
    assert "inner.most: there is no such key; valid: least" in line
    assert "`pulumi config rm --path inner.most --stack dev`" in line


def test_one_in_a_list_is_taken_away_too() -> None:
    assert "`pulumi config rm --path 'scale[1].most' --stack dev`" in mistake(scale=[{}, {"most": 3}])


def test_a_nested_value_that_is_wrong_has_the_keys_example() -> None:
    assert "`pulumi config set --path inner.least 1 --stack dev`" in mistake(inner={"least": "few"})


def test_a_dot_in_a_key_of_the_first_level_is_no_step() -> None:
    assert "`pulumi config rm inner.least --stack dev`" in mistake(**{"inner.least": 1})
