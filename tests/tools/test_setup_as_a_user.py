"""Set-up by an ordinary user on a machine without apt, or without sudo: the cloud stacks' commands work."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.environment import ROOT

NOBODY = 65534
PYTHON = "/usr/bin/python3"
"""Outside of root's home, where the Python of these tests may be."""
PROGRAMS = tuple("sh dirname basename sed grep head id env git ssh cat uname ps rm".split())
BACKEND = """
import zipfile
NAME = "demo-1.dist-info"
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/demo-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("demo.py", "")
        wheel.writestr(f"{NAME}/METADATA", "Metadata-Version: 2.1\\nName: demo\\nVersion: 1\\n")
        wheel.writestr(f"{NAME}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{NAME}/RECORD", "")
    return "demo-1-py3-none-any.whl"
"""
PULUMI = """#!/bin/sh
case "$*" in
version) echo v3.299.0 ;;
"stack ls"*) echo '[]' ;;
*) echo "pulumi $*" >>"$HOME/asked" ;;
esac
"""


@pytest.fixture(scope="module")
def set_up_once() -> Iterator[Path]:
    """A checkout of the user's own: the real tools, an empty lock, a project that needs no build tools."""
    if subprocess.run([PYTHON, "-c", "import ensurepip"], check=False, capture_output=True).returncode:
        pytest.skip(f"{PYTHON} cannot make virtual environments")
    with tempfile.TemporaryDirectory(prefix="caffe-spark-user-") as folder:
        root = Path(folder, "checkout")
        for name in ("tools", "bootstrap"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "roles"))
        shutil.copy(ROOT / "activate", root)
        (root / "requirements.lock").touch()
        (root / "Pulumi.yaml").touch()
        (root / "backend.py").write_text(BACKEND)
        (root / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )
        path = Path(folder, "bin")
        path.mkdir()
        for name in PROGRAMS:
            (path / name).symlink_to(shutil.which(name) or pytest.skip(f"{name} is not installed"))
        for name in ("pulumi", "pulumi-language-python"):
            (path / name).write_text(PULUMI)
            (path / name).chmod(0o755)
        Path(folder).chmod(0o755)
        if os.geteuid() == 0:
            for file in (Path(folder), *Path(folder).rglob("*")):
                os.chown(file, NOBODY, NOBODY, follow_symlinks=False)
        yield root


@pytest.fixture
def checkout(set_up_once: Path) -> Iterator[Path]:
    """The checkout, whose .venv is made once: that takes seconds."""
    yield set_up_once
    for name in ("apt-get", "sudo"):
        (set_up_once.parent / "bin" / name).unlink(missing_ok=True)


def as_user(root: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an ordinary user, with the programs of the fixture alone."""
    path = root.parent / "bin"
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(
        [str(path / argv[0]), *argv[1:]],
        **user,
        cwd=root,
        env={"PATH": str(path), "HOME": str(root.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def with_apt(root: Path) -> None:
    """Put an apt-get on PATH that only root may run."""
    apt = root.parent / "bin" / "apt-get"
    apt.write_text('#!/bin/sh\necho "are you root?" >&2\nexit 100\n')
    apt.chmod(0o755)


@pytest.mark.parametrize(
    ("apt", "why"),
    [(False, "this machine has no apt-get"), (True, "installing them takes root or sudo")],
)
def test_the_cloud_stacks_commands_work_and_one_line_says_what_the_dev_stacks_need(
    checkout: Path, apt: bool, why: str
) -> None:
    if apt:
        with_apt(checkout)
    said = as_user(checkout, "sh", "tools/setup.sh")
    assert said.returncode == 0, said.stdout + said.stderr
    lines = [line for line in said.stdout.splitlines() if line.startswith("  dev stacks")]
    assert len(lines) == 1
    assert why in lines[0]
    assert "podman" in lines[0]
    assert "mmdebstrap" in lines[0]
    assert "Set up (" in said.stdout
    worked = as_user(checkout, "sh", "-c", ". ./activate && pulumi version && python -c 'import demo'")
    assert worked.returncode == 0, worked.stderr
    assert worked.stdout == "v3.299.0\n"
    assert (checkout / ".state" / "passphrase").stat().st_mode & 0o777 == 0o600


def test_who_wants_the_dev_stacks_is_told_at_once_that_they_cannot_be_had(checkout: Path) -> None:
    said = as_user(checkout, "sh", "tools/setup.sh", "--dev")
    assert said.returncode == 1
    assert said.stderr.startswith("packages podman")
    assert "this machine has no apt-get" in said.stderr
    assert ".venv" not in said.stdout


def test_sudo_that_refuses_is_asked_once(checkout: Path) -> None:
    with_apt(checkout)
    sudo = checkout.parent / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] || echo asked >>"$HOME/sudo"\nexit 1\n')
    sudo.chmod(0o755)
    first, second = (as_user(checkout, "sh", "tools/setup.sh") for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "sudo refuses to install them for this user" in first.stdout
    assert "sudo has refused this user before" in second.stdout
    assert (checkout.parent / "sudo").read_text() == "asked\n"
