"""Stacks with a file are created once, dev is selected, and git does not see their salts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.stack import ensure, keep_git_clean, refresh_index, stacks

STACK_FILE = "Pulumi.dev.yaml"
COMMITTED = 'config:\n  caffe-spark:workers: "2"\n'
SALT = "encryptionsalt: v1:abc=:v1:def:ghi==\n"


@pytest.mark.parametrize(
    ("known", "said", "did"),
    [
        ([], "dev selected, created: dev", ["stack init dev --no-select", "stack select dev"]),
        ([("dev", True)], "dev selected", []),
        ([("dev", False)], "dev selected", ["stack select dev"]),
        ([("prod", True)], "prod selected, created: dev", ["stack init dev --no-select"]),
        ([("prod", True), ("dev", False)], "prod selected", []),
    ],
)
def test_dev_is_made_when_missing_and_selected_when_nothing_is(
    tmp_path: Path, known: list[tuple[str, bool]], said: str, did: list[str]
) -> None:
    env, calls = pulumi(tmp_path, [{"name": name, "current": current} for name, current in known])
    assert ensure(tmp_path, env, {}) == said
    assert calls() == ["stack ls --json", *did]


def test_every_stack_that_has_a_file_is_made(tmp_path: Path) -> None:
    for name in ("dev", "aws-eu-west-1"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(COMMITTED)
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\n")
    env, calls = pulumi(tmp_path, [{"name": "dev", "current": True}])
    assert ensure(tmp_path, env, {}) == "dev selected, created: aws-eu-west-1"
    assert calls()[1:] == ["stack init aws-eu-west-1 --no-select"]


def test_nothing_is_made_in_a_shared_state(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.aws-eu-west-1.yaml").write_text(COMMITTED)
    env, calls = pulumi(tmp_path, [{"name": "aws-us-east-1", "current": False}])
    given = {"PULUMI_BACKEND_URL": "s3://team"}
    assert ensure(tmp_path, {**env, **given}, given) == (
        "none selected; s3://team has: aws-us-east-1 (docs/team.md)"
    )
    assert calls() == ["stack ls --json"]


def test_an_untracked_stack_file_is_ignored(checkout: Path) -> None:
    (checkout / "Pulumi.e2e.yaml").write_text(COMMITTED)
    assert stacks(checkout) == ["dev"]


def test_an_unreachable_backend_is_reported_and_does_not_stop_setup(tmp_path: Path) -> None:
    env, _ = pulumi(tmp_path, [], status=1)
    given = {"PULUMI_BACKEND_URL": "s3://team"}
    assert ensure(tmp_path, {**env, **given}, given) == "unknown: s3://team: error: no access"


def test_a_missing_cli_is_reported_and_does_not_stop_setup(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "PULUMI_BACKEND_URL": "s3://team", "HOME": str(tmp_path)}
    assert "no answer" in ensure(tmp_path, env, {})


def test_git_never_sees_the_salt_but_sees_every_other_change(checkout: Path) -> None:
    keep_git_clean(checkout)
    file = checkout / STACK_FILE
    file.write_text(COMMITTED + SALT)
    refresh_index(checkout, STACK_FILE)
    assert git(checkout, "status", "--short") == ""
    file.write_text(COMMITTED.replace("2", "3") + SALT)
    assert git(checkout, "status", "--short") == f"M {STACK_FILE}"
    assert "salt" not in git(checkout, "diff")
    git(checkout, "commit", "-qam", "three workers")
    assert "salt" not in git(checkout, "show", f"HEAD:{STACK_FILE}")
    assert SALT in file.read_text()


def test_what_the_user_has_changed_is_not_staged(checkout: Path) -> None:
    keep_git_clean(checkout)
    (checkout / STACK_FILE).write_text(COMMITTED.replace("2", "5") + SALT)
    refresh_index(checkout, STACK_FILE)
    assert git(checkout, "diff", "--cached") == ""


def test_without_git_nothing_happens(tmp_path: Path) -> None:
    keep_git_clean(tmp_path)
    refresh_index(tmp_path, STACK_FILE)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with the stack's file and the attribute."""
    attributes = Path(__file__).parents[2] / ".gitattributes"
    (tmp_path / ".gitattributes").write_text(attributes.read_text())
    (tmp_path / STACK_FILE).write_text(COMMITTED)
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.name", "Someone")
    git(tmp_path, "config", "user.email", "someone@example.org")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def pulumi(
    folder: Path, known: list[dict[str, object]], status: int = 0
) -> tuple[dict[str, str], Callable[[], list[str]]]:
    """Write a fake CLI with these stacks, which records its calls."""
    script = folder / "pulumi"
    answer = "echo 'error: no access' >&2" if status else f"echo '{json.dumps(known)}'"
    script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{answer}\nexit {status}\n')
    script.chmod(0o755)
    env = {"PATH": f"{folder}:/usr/bin:/bin", "PULUMI_BACKEND_URL": "file://x", "HOME": str(folder)}

    def calls() -> list[str]:
        lines = (folder / "calls").read_text().splitlines()
        return [line.removesuffix(" --non-interactive") for line in lines]

    return env, calls
