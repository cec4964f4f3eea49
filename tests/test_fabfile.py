"""The commands as Fabric sees them: what is listed, and how failures leave them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from invoke.exceptions import Exit

import fabfile
from bootstrap.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


def fab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["fab", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_list_shows_every_command_with_its_purpose() -> None:
    listed = fab("--list").stdout
    for name in ("bootstrap", "build-headnode", "submit-mnist", "attach", "doctor"):
        assert f"  {name} " in listed


def test_a_wrong_flag_is_named() -> None:
    said = fab("submit-mnist", "--executor", "2")
    assert said.returncode != 0
    assert "--executor" in said.stderr


def test_a_spec_that_does_not_exist_is_refused_before_the_stack_is_asked() -> None:
    said = fab("submit-mnist", "--spec", "nosuch.yaml", "--stack", "nosuch")
    assert said.returncode == 1
    assert "nosuch.yaml" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_an_expected_failure_is_one_line_and_status_1() -> None:
    @fabfile.expected_errors_in_one_line
    def body() -> None:
        raise ConfigError("workers: 0", "at least one is needed", "Run `pulumi config set workers 2`.")

    with pytest.raises(Exit) as raised:
        body()
    assert raised.value.code == 1
    assert str(raised.value) == "workers: 0: at least one is needed. Run `pulumi config set workers 2`."


def test_a_bug_keeps_its_traceback() -> None:
    @fabfile.expected_errors_in_one_line
    def body() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        body()


def test_ctrl_c_leaves_with_the_shells_status() -> None:
    @fabfile.expected_errors_in_one_line
    def body() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Exit) as raised:
        body()
    assert raised.value.code == 130
