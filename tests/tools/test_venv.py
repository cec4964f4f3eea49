"""Rebuilt and skipped parts of .venv, with a fake pip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import venv


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text("a==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


@pytest.fixture
def ran(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the commands run; creating the environment writes a python."""
    titles: list[str] = []

    def run(title: str, argv: list[str], **_: object) -> None:
        if title == failing.get("title"):
            raise KeyboardInterrupt
        titles.append(title)
        if title == "virtual environment":
            (root / ".venv" / "bin").mkdir(parents=True)
            (root / ".venv" / "bin" / "python").touch()
        if title == "Python packages":
            # A source distribution would bring what builds it, without a hash.
            assert {"--require-hashes", "--only-binary"} <= set(argv)
        if title == "the project, editable":
            assert "--no-index" in argv

    monkeypatch.setattr(venv, "run", run)
    return titles


failing: dict[str, str] = {}


@pytest.fixture(autouse=True)
def nothing_fails() -> None:
    failing.clear()


ALL = ["virtual environment", "Python packages", "bytecode", "the project, editable"]


def test_the_second_run_does_nothing(root: Path, ran: list[str]) -> None:
    assert venv.ensure(root, root / "log") == "installed packages and project"
    assert ran == ALL
    assert venv.ensure(root, root / "log") == "as locked"
    assert ran == ALL


@pytest.mark.parametrize(("file", "again"), [("requirements.lock", ALL[1:]), ("pyproject.toml", ALL[3:])])
def test_only_the_changed_part_is_repeated(root: Path, ran: list[str], file: str, again: list[str]) -> None:
    venv.ensure(root, root / "log")
    ran.clear()
    (root / file).write_text("changed")
    venv.ensure(root, root / "log")
    assert ran == again


def test_an_interrupted_run_is_resumed(root: Path, ran: list[str]) -> None:
    failing["title"] = "the project, editable"
    with pytest.raises(KeyboardInterrupt):
        venv.ensure(root, root / "log")
    failing.clear()
    ran.clear()
    venv.ensure(root, root / "log")
    assert ran == ALL[3:]


def test_an_interrupted_change_of_packages_is_not_taken_for_done(root: Path, ran: list[str]) -> None:
    venv.ensure(root, root / "log")
    original = (root / "requirements.lock").read_text()
    (root / "requirements.lock").write_text("a==2")
    failing["title"] = "Python packages"
    with pytest.raises(KeyboardInterrupt):
        venv.ensure(root, root / "log")
    failing.clear()
    ran.clear()
    (root / "requirements.lock").write_text(original)
    venv.ensure(root, root / "log")
    assert ran == ALL[1:], "pip may have replaced some packages before it was stopped"


@pytest.mark.parametrize("damage", ["moved", "no python", "stamp unreadable"])
def test_a_broken_environment_is_recreated(root: Path, ran: list[str], damage: str) -> None:
    venv.ensure(root, root / "log")
    stamp = root / ".venv" / "caffe-spark.json"
    if damage == "moved":
        stamp.write_text(stamp.read_text().replace(str(root), "/elsewhere"))
    elif damage == "no python":
        (root / ".venv" / "bin" / "python").unlink()
    else:
        stamp.write_text("{")
    ran.clear()
    venv.ensure(root, root / "log")
    assert ran == ALL


def test_a_python_that_starts_imports_nothing_for_the_project() -> None:
    """Every command, provider and test starts several; setuptools' own finder cost 40 ms of each."""
    names = ("infra", "pathlib", "re", "urllib")
    lines = f"import sys; print(*(name for name in {names} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
