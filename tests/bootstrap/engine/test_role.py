from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bootstrap.engine.role import ROLES_DIR, load_role
from bootstrap.errors import ConfigError
from tests.bootstrap.conftest import MakeRole

GOOD = {"name": "a", "packages": ["curl"]}


def test_a_role_is_read_with_its_defaults(make_role: MakeRole, roles: Path) -> None:
    role = make_role("r", [GOOD], defaults={"port": 1}, requires=["common"])
    assert (role.name, role.defaults, role.requires, role.folder) == (
        "r",
        {"port": 1},
        ["common"],
        roles / "r",
    )
    assert role.steps[0].operations() == ["packages"]


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"name": "a"}, "exactly one operation, this one has 0"),
        ({**GOOD, "command": {"run": "x", "creates": "y"}}, "exactly one operation, this one has 2"),
        ({"name": "a", "packges": ["curl"]}, "packges: Extra inputs are not permitted"),
        ({**GOOD, "on": "everywhere"}, "Input should be 'all', 'head' or 'workers'"),
        ({"name": "a", "command": {"run": "x"}}, "exactly one of creates, unless"),
        (
            {"name": "a", "command": {"run": "x", "creates": "y", "unless": "z"}},
            "exactly one of creates, unless",
        ),
        ({"name": "a", "file": {"path": "/x"}}, "exactly one of template, content"),
        ({"name": "a", "git": {"repo": "x", "rev": "main", "dest": "/x"}}, r"steps\.0\.git\.rev"),
    ],
)
def test_a_step_that_says_too_little_or_too_much_is_refused(
    make_role: MakeRole, step: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=f"r/role.yaml: .*{why}"):
        make_role("r", [step])


def test_a_role_without_steps_is_refused(make_role: MakeRole) -> None:
    with pytest.raises(ConfigError, match="steps"):
        make_role("r", [])


def test_an_unknown_role_lists_the_known_ones(make_role: MakeRole, roles: Path) -> None:
    make_role("known", [GOOD])
    with pytest.raises(ConfigError, match=r"role 'unknown': there is no .*; there are: known"):
        load_role("unknown", roles)


def test_a_file_that_is_no_yaml_is_named(make_role: MakeRole, roles: Path) -> None:
    make_role("r", [GOOD])
    (roles / "r/role.yaml").write_text("steps: [")
    with pytest.raises(ConfigError, match=r"role\.yaml: it is not valid YAML"):
        load_role("r", roles)


@pytest.mark.parametrize(
    ("text", "words"),
    [("name: r\nname: s", "'name' is given twice, in lines 1 and 2"), ("mode: 0755", "line 1: 0755 may be")],
)
def test_a_file_that_readers_take_for_different_things_is_refused(
    make_role: MakeRole, roles: Path, text: str, words: str
) -> None:
    make_role("r", [GOOD])
    (roles / "r/role.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_role("r", roles)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROLES_DIR.glob("*/role.yaml")))
def test_our_own_roles_can_be_read(name: str) -> None:
    assert load_role(name).name == name
