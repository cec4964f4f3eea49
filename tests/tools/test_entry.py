"""Entry points `make` and `activate`, under real shells in a copy of the checkout without a set-up."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import setup
from tools.environment import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what `activate` needs, with this Python as its .venv's."""
    for name in ("activate", "Makefile"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("tools", "bootstrap"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def set_up(checkout: Path) -> None:
    """Make the copy look set up: its `python -m tools.environment` answers with one variable."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho \"export ANSWER='from $PWD'\"\n")
    python.chmod(0o755)


def shell(name: str, script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run([name, "-c", script], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["bash", "dash", "zsh"])
def test_activate_sets_up_the_shell_that_sources_it(checkout: Path, name: str) -> None:
    set_up(checkout)
    said = shell(name, '. ./activate; echo "$ANSWER ${_caffe_spark-clean}"', checkout)
    assert said.stdout.strip() == f"from {checkout} clean"


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_activate_works_from_any_folder(
    checkout: Path, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    set_up(checkout)
    said = shell(name, f'. {checkout}/activate; echo "$ANSWER"', tmp_path_factory.mktemp("elsewhere"))
    assert said.stdout.strip() == f"from {checkout}"


def test_a_shell_that_cannot_find_the_folder_names_it(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said = shell("dash", f". {checkout}/activate", tmp_path_factory.mktemp("elsewhere"))
    assert said.returncode == 1
    assert "Go to the project's folder" in said.stderr


@pytest.mark.parametrize("name", ["bash", "dash", "zsh"])
def test_activate_before_setup_names_the_next_command(checkout: Path, name: str) -> None:
    said = shell(name, ". ./activate", checkout)
    assert said.returncode == 1
    assert "make setup" in said.stderr


def test_make_alone_lists_the_commands(checkout: Path) -> None:
    said = subprocess.run(["make"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    for command in ("make setup", "make mnist", "make test", "make lock", ". ./activate"):
        assert command in said


def test_ci_runs_the_tests_and_is_executable() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_a_full_disk_is_refused_before_anything_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "LOWEST_FREE_GB", 10**9)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    assert setup.main() == 1
    assert "Free some disk" in capsys.readouterr().err
    assert not (tmp_path / ".venv").exists()


def test_setup_without_a_recent_python_names_the_package_to_install(tmp_path: Path) -> None:
    """A PATH with a shell's own tools, an old python3, and no apt-get."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    shutil.copy(ROOT / "tools" / "packages.ini", tmp_path / "tools")
    script = (tmp_path / "tools" / "setup.sh").read_text().replace("/usr/bin/python3", "/no/python3")
    (tmp_path / "tools" / "setup.sh").write_text(script)
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dirname", "sed", "id", "sh"):
        (folder / name).symlink_to(shutil.which(name) or "")
    said = subprocess.run(
        [folder / "sh", "tools/setup.sh"],
        cwd=tmp_path,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert said.stderr.startswith("Python: this machine has no Python 3.10")


@pytest.mark.parametrize(
    ("target", "dev"), [("setup", False), ("check", False), ("mnist", True), ("test", True)]
)
def test_only_what_runs_on_real_nodes_insists_on_the_dev_stacks(target: str, dev: bool) -> None:
    # A make above this one would have its folder announced.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "-n", target], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout
    assert said.splitlines()[0].split() == ["sh", "tools/setup.sh", *(["--dev"] if dev else [])]
