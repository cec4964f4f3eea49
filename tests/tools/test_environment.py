"""Environment of `pulumi` and `fab`, which keeps the user's variables."""

from __future__ import annotations

import json
import stat
import subprocess
from hashlib import sha1
from pathlib import Path

import pytest

from bootstrap.errors import ConfigError
from tools.environment import (
    ROOT,
    environment,
    passphrase_file,
    prepare,
    selected_stack,
    shell_lines,
    summary,
)


def select(root: Path, home: Path, stack: str, backend: str) -> None:
    """Record a selection as the CLI does."""
    folder = home / ".pulumi" / "workspaces"
    folder.mkdir(parents=True, exist_ok=True)
    digest = sha1(str(root / "Pulumi.yaml").encode()).hexdigest()
    record = {"stacks": {backend: f"organization/caffe-spark/{stack}"}}
    (folder / f"caffe-spark-{digest}-workspace.json").write_text(json.dumps(record))


def test_state_and_passphrase_lie_inside_the_project(tmp_path: Path) -> None:
    env = environment(tmp_path, {"HOME": str(tmp_path)})
    assert env["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/.state/pulumi?metadata=skip"
    assert env["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{tmp_path}/.state/passphrase"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PULUMI_BACKEND_URL", "s3://team-state"),
        ("PULUMI_CONFIG_PASSPHRASE_FILE", "/etc/their-passphrase"),
        ("PULUMI_SKIP_UPDATE_CHECK", "false"),
        ("PULUMI_PYTHON_CMD", "/usr/bin/python3"),
        ("SOMETHING", "else"),
    ],
)
def test_what_the_user_has_set_is_kept(tmp_path: Path, name: str, value: str) -> None:
    assert environment(tmp_path, {"HOME": str(tmp_path), name: value})[name] == value


@pytest.mark.parametrize("passphrase", ["correct horse", ""])
def test_a_passphrase_of_the_users_own_goes_before_a_file(tmp_path: Path, passphrase: str) -> None:
    given = {"HOME": str(tmp_path), "PULUMI_CONFIG_PASSPHRASE": passphrase}
    prepare(tmp_path, given)
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment(tmp_path, given)
    assert not passphrase_file(tmp_path).exists()


def test_our_programs_come_first_on_path_and_only_once(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    once = environment(tmp_path, given)
    ours = f"{tmp_path}/.venv/bin:{tmp_path}/tools/bin:{tmp_path}/.state/pulumi-cli/bin"
    assert once["PATH"] == f"{ours}:/usr/bin:/bin"
    assert environment(tmp_path, once) == once


def test_no_stack_keeps_the_engine_from_fetching_plugins(tmp_path: Path) -> None:
    env = environment(tmp_path, {"HOME": str(tmp_path)})
    assert not any("PLUGIN" in name for name in env)


def test_our_python_lists_no_packages_and_is_python_for_all_else() -> None:
    script = environment(ROOT, {"HOME": "/"})["PULUMI_PYTHON_CMD"]

    def said(*arguments: str) -> str:
        return subprocess.run([script, *arguments], capture_output=True, text=True, check=True).stdout

    assert said("-m", "pip", "list", "-v", "--format", "json") == "[]\n"
    assert said("-c", "import sys; print(sys.argv)", "pip", "list") == "['-c', 'pip', 'list']\n"


def test_a_selection_counts_for_its_backend_and_folder_only(tmp_path: Path) -> None:
    env = environment(tmp_path, {"HOME": str(tmp_path)})
    assert selected_stack(tmp_path, env) is None
    select(tmp_path, tmp_path, "prod", env["PULUMI_BACKEND_URL"])
    assert selected_stack(tmp_path, env) == "prod"
    assert selected_stack(tmp_path, {**env, "PULUMI_BACKEND_URL": "s3://other"}) is None
    assert selected_stack(tmp_path / "elsewhere", env) is None


def test_an_unreadable_selection_is_ignored(tmp_path: Path) -> None:
    select(tmp_path, tmp_path, "prod", "file://x")
    for record in (tmp_path / ".pulumi" / "workspaces").iterdir():
        record.write_text("{")
    assert selected_stack(tmp_path, {"HOME": str(tmp_path), "PULUMI_BACKEND_URL": "file://x"}) is None


def test_the_passphrase_is_created_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    prepare(tmp_path, {})
    path = passphrase_file(tmp_path)
    first = path.read_text()
    assert len(first.strip()) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    prepare(tmp_path, {})
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.glob("passphrase*")] == ["passphrase"]


def test_a_lost_passphrase_is_not_replaced_while_stacks_need_it(tmp_path: Path) -> None:
    stack = tmp_path / ".state" / "pulumi" / ".pulumi" / "stacks" / "caffe-spark" / "dev.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    with pytest.raises(ConfigError, match="secrets of stack 'dev'"):
        prepare(tmp_path, {})
    assert not passphrase_file(tmp_path).exists()


def test_a_backend_of_the_users_own_leaves_no_state_here(tmp_path: Path) -> None:
    prepare(tmp_path, {"PULUMI_BACKEND_URL": "s3://team-state"})
    assert not (tmp_path / ".state" / "pulumi").exists()


def test_the_shell_gets_what_differs_and_odd_characters_survive(tmp_path: Path) -> None:
    root = tmp_path / "it's a $HOME; folder"
    given = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONHOME": "/x"}
    env = environment(root, given)
    lines = shell_lines(env, given)
    script = f'{lines}\nprintf %s "$PULUMI_BACKEND_URL|${{PYTHONHOME-unset}}"'
    said = subprocess.run(["/bin/sh", "-c", script], env=given, capture_output=True, text=True, check=True)
    assert said.stdout == f"file://{root}/.state/pulumi?metadata=skip|unset"
    assert "HOME=" not in lines.replace("PYTHONHOME", "")


def test_the_summary_is_one_line_without_secrets(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path), "PATH": "/bin", "PULUMI_CONFIG_PASSPHRASE": "correct horse"}
    said = summary(tmp_path, environment(tmp_path, given))
    assert "\n" not in said
    assert "dev by default" in said
    assert "make setup" in said, "there is no CLI on this PATH"
    assert "horse" not in said


TEAM = "name: caffe-spark\nmain: infra/\nbackend:\n  url: s3://team-state?region=eu-west-1  # of the team\n"


def test_the_teams_backend_is_taken_from_the_project_and_the_users_own_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(TEAM)
    assert environment(tmp_path, {})["PULUMI_BACKEND_URL"] == "s3://team-state?region=eu-west-1"
    own = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/.state/pulumi?metadata=skip"}
    assert environment(tmp_path, own)["PULUMI_BACKEND_URL"] == own["PULUMI_BACKEND_URL"]
    prepare(tmp_path, {})
    assert not (tmp_path / ".state" / "pulumi").exists()


@pytest.mark.parametrize(
    "text", ["name: caffe-spark\n", "name: x\n# backend:\n#   url: s3://no\n", "backend: {}\n"]
)
def test_a_project_without_a_backend_keeps_its_own_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text)
    assert environment(tmp_path, {})["PULUMI_BACKEND_URL"].startswith("file://")


@pytest.mark.parametrize(
    "backend", ["s3://team", "azblob://state?storage_account=team", "https://api.pulumi.com"]
)
def test_secrets_of_a_shared_state_never_get_this_machines_own_passphrase(
    tmp_path: Path, backend: str
) -> None:
    given = {"HOME": str(tmp_path), "PULUMI_BACKEND_URL": backend}
    prepare(tmp_path, given)
    env = environment(tmp_path, given)
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in env
    assert not passphrase_file(tmp_path).exists()
    assert "passphrase none" in summary(tmp_path, env)
    theirs = environment(tmp_path, {**given, "PULUMI_CONFIG_PASSPHRASE_FILE": "/etc/theirs"})
    assert theirs["PULUMI_CONFIG_PASSPHRASE_FILE"] == "/etc/theirs"


def test_a_folder_that_the_user_has_chosen_gets_a_passphrase(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path), "PULUMI_BACKEND_URL": "file:///somewhere"}
    assert environment(tmp_path, given)["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(passphrase_file(tmp_path))
