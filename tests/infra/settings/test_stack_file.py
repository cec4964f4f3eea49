"""The stack's own file: found from wherever Pulumi starts us, read as it is, written by pulumi."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import StackError
from infra.settings import stack_file

FILE = """# where
config:
  caffe-spark:region: eu-west-1
  caffe-spark:zones: [eu-west-1a]
  other:region: us-east-1
"""
REFUSING = "#!/bin/sh\necho 'warning: one' >&2\necho 'error: no stack named x found' >&2\nexit 255\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "infra").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\n")
    (tmp_path / "Pulumi.x.yaml").write_text(FILE)
    return tmp_path


def on_path(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "pulumi"
    file.write_text(script)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_projects_own_settings_are_read_without_their_namespace(project: Path) -> None:
    assert stack_file.read("x", project / "infra") == {"region": "eu-west-1", "zones": ["eu-west-1a"]}


@pytest.mark.parametrize("text", [None, "", "encryptionsalt: v1:x\n", "config:\n"])
def test_a_stack_without_settings_has_none(project: Path, text: str | None) -> None:
    if text is not None:
        (project / "Pulumi.y.yaml").write_text(text)
    assert stack_file.read("y", project) == {}


def test_outside_of_a_project_one_is_told_to_go_there(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"Pulumi\.yaml"):
        stack_file.project(tmp_path)


def test_values_go_through_pulumi_in_one_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(project, f'#!/bin/sh\npwd >{project}/calls\necho "$@" >>{project}/calls\n', monkeypatch)
    stack_file.write("x", {"headAmi": "ami-1", "workerAmi": "ami-2"}, project / "infra")
    where, command = (project / "calls").read_text().splitlines()
    assert Path(where) == project.resolve()
    assert command.startswith("config set-all")
    assert "--stack x" in command
    assert "--plaintext caffe-spark:headAmi=ami-1 --plaintext caffe-spark:workerAmi=ami-2" in command


def test_a_refusal_is_pulumis_last_word_and_the_command_to_type(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(project, REFUSING, monkeypatch)
    with pytest.raises(StackError) as refused:
        stack_file.write("x", {"headAmi": "ami-1"}, project)
    assert "no stack named x found" in refused.value.why
    assert "pulumi config set headAmi ami-1 --stack x" in refused.value.fix


def test_without_pulumi_on_the_path_the_command_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(StackError, match="not on PATH") as refused:
        stack_file.write("x", {"headAmi": "ami-1"}, project)
    assert "pulumi config set headAmi ami-1 --stack x" in refused.value.fix
