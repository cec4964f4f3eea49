"""`pulumi` of tools/bin: locks of killed processes are removed, all others stay, then the CLI runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.environment import ROOT, wrapper_folder

PULUMI = wrapper_folder(ROOT) / "pulumi"


@pytest.fixture
def cli(tmp_path: Path) -> Path:
    """A CLI on PATH that prints its arguments."""
    path = tmp_path / "bin" / "pulumi"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\necho "ran: $*"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def gone() -> int:
    """Number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def running(tmp_path: Path) -> Iterator[int]:
    """Number of a running process whose name is that of the CLI."""
    program = tmp_path / "pulumi"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "60"])
    yield process.pid
    process.kill()
    process.wait()


def lock(backend: Path, stack: str, pid: int, host: str = "") -> Path:
    folder = backend / ".pulumi" / "locks" / "organization" / "caffe-spark" / stack
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{pid}.json"
    text = {"pid": pid, "username": "root", "hostname": host or os.uname().nodename, "timestamp": "2026"}
    path.write_text(json.dumps(text, separators=(",", ":")))
    return path


def pulumi(backend: str, cli: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{PULUMI.parent}:{cli.parent}:/usr/bin:/bin", "PULUMI_BACKEND_URL": backend}
    return subprocess.run(
        [str(PULUMI), *arguments], env=env, capture_output=True, text=True, check=False, timeout=30
    )


def test_the_lock_of_a_process_that_is_gone_is_removed_and_said(tmp_path: Path, cli: Path, gone: int) -> None:
    left = lock(tmp_path, "dev", gone)
    said = pulumi(f"file://{tmp_path}?metadata=skip", cli, "up", "--stack", "dev")
    assert said.stdout == "ran: up --stack dev\n"
    assert said.stderr == f"stack dev was locked by pulumi process {gone}, which is gone: lock removed\n"
    assert not left.exists()


def test_a_lock_whose_number_another_program_has_is_removed(tmp_path: Path, cli: Path) -> None:
    left = lock(tmp_path, "dev", os.getpid())
    pulumi(f"file://{tmp_path}", cli)
    assert not left.exists()


def test_the_lock_of_a_running_pulumi_stays(tmp_path: Path, cli: Path, running: int) -> None:
    kept = lock(tmp_path, "dev", running)
    said = pulumi(f"file://{tmp_path}", cli)
    assert (said.stdout, said.stderr, kept.exists()) == ("ran: \n", "", True)


def test_locks_of_other_hosts_and_of_other_text_stay(tmp_path: Path, cli: Path, gone: int) -> None:
    kept = [lock(tmp_path, "dev", gone, host="elsewhere"), lock(tmp_path, "dev", gone + 1)]
    kept[1].write_text("no JSON")
    pulumi(f"file://{tmp_path}", cli)
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize("backend", ["", "s3://team-state", "https://api.example.com", "file://~"])
def test_other_backends_are_left_to_the_cli(cli: Path, backend: str) -> None:
    said = pulumi(backend, cli, "up")
    assert (said.stdout, said.stderr) == ("ran: up\n", "")


def test_a_machine_without_a_cli_is_told_what_to_run(tmp_path: Path, cli: Path) -> None:
    cli.unlink()
    said = pulumi("", cli)
    assert said.returncode == 127
    assert "make setup" in said.stderr


def test_another_checkout_that_is_active_too_does_not_send_the_command_back(
    tmp_path: Path, cli: Path
) -> None:
    other = tmp_path / "other" / "tools" / "bin"
    shutil.copytree(PULUMI.parent, other)
    path = f"{PULUMI.parent}:{other}:{cli.parent}:/usr/bin:/bin"

    for command in (PULUMI, other / "pulumi"):
        said = subprocess.run(
            [str(command), "version"],
            env={"PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (said.returncode, said.stdout) == (0, "ran: version\n")
