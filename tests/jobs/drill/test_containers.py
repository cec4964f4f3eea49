"""Containers of a stack, with a stand-in for the engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed, ConfigError
from infra import tags
from jobs.drill import containers
from jobs.drill.containers import Containers


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with podman, ip and links; its calls are in the file `calls`."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(containers, "LINKS", tmp_path / "net")
    for link, number in {"lo": "1", "veth3": "7", "veth4": "8"}.items():
        (tmp_path / "net" / link).mkdir(parents=True)
        (tmp_path / "net" / link / "ifindex").write_text(f"{number}\n")
    fake(tmp_path, "podman", '[ "$1" != exec ] || echo 7')
    fake(tmp_path, "docker", "exit 1")
    fake(tmp_path, "ip", "")
    return tmp_path


def fake(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >>{machine}/calls\n{script}\n')
    path.chmod(0o755)


def calls(machine: Path) -> list[str]:
    return (machine / "calls").read_text().splitlines()


def test_names_are_those_that_the_stack_gives() -> None:
    assert Containers("dev", "podman").name("w1") == tags.full_name("dev", "w1")


def test_the_engine_is_the_one_that_has_the_head(machine: Path) -> None:
    assert Containers.of("dev", "head").engine == "podman"
    fake(machine, "podman", "exit 1")
    fake(machine, "docker", "")
    assert Containers.of("dev", "head").engine == "docker"


def test_a_stack_that_is_not_on_this_machine_is_refused(machine: Path) -> None:
    fake(machine, "podman", "exit 1")
    with pytest.raises(ConfigError, match="no container caffe-spark-dev-head runs on this machine"):
        Containers.of("dev", "head")


def test_a_node_is_killed_at_once(machine: Path) -> None:
    Containers("dev", "podman").kill("w2")
    assert calls(machine) == ["podman kill --signal KILL caffe-spark-dev-w2"]


def test_the_link_of_a_node_goes_down_and_comes_up_again(machine: Path) -> None:
    nodes = Containers("dev", "podman")
    nodes.cut("w2")
    assert calls(machine)[-1] == "ip link set dev veth3 down"
    nodes.heal_all()
    nodes.heal_all()
    assert calls(machine)[2:] == ["ip link set dev veth3 up"], "once"


def test_a_link_whose_other_end_is_elsewhere_cannot_be_cut(machine: Path) -> None:
    fake(machine, "podman", "echo 99")
    with pytest.raises(CommandFailed, match="not on this machine"):
        Containers("dev", "podman").cut("w2")


def test_a_refusal_of_the_engine_is_told_by_its_last_line(machine: Path) -> None:
    fake(machine, "podman", "echo one >&2; echo 'no such container' >&2; exit 125")
    with pytest.raises(CommandFailed, match="no such container") as raised:
        Containers("dev", "podman").kill("w2")
    assert raised.value.exit_code == 125
