"""Podman and docker behind one face: what they answer, and what their refusals mean."""

from __future__ import annotations

import os
import stat
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from infra.local.engine import Engine, EngineError, find_engine, run_as_root, typed
from infra.local.engine_output import docker_network
from tests.infra.conftest import FakeEngine

PODMAN = Engine("podman")


def test_auto_takes_podman_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/usr/bin/{name}")
    assert find_engine("auto", "dev").kind == "podman"
    assert find_engine("docker", "dev").kind == "docker"


def test_auto_takes_docker_where_only_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: "/usr/bin/docker" if name == "docker" else None)
    assert find_engine("auto", "dev").kind == "docker"


def test_networks_are_read_with_subnet_bridge_and_labels(engine: FakeEngine) -> None:
    engine.knows_networks(
        {
            "name": "n",
            "network_interface": "podman3",
            "subnets": [{"subnet": "10.1.2.0/24", "gateway": "10.1.2.1"}, {"subnet": "fd00::/64"}],
            "labels": {"a": "b"},
        }
    )
    network = PODMAN.network("n")
    assert network is not None
    assert network.subnets == (IPv4Network("10.1.2.0/24"),)
    assert (network.interface, network.labels) == ("podman3", {"a": "b"})
    assert PODMAN.network("m") is None


def test_dockers_shape_of_a_network_is_read_alike() -> None:
    network = docker_network(
        {
            "Name": "n",
            "Id": "0123456789abcdef",
            "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]},
            "Labels": {"a": "b"},
            "Options": {},
        }
    )
    assert network.subnets == (IPv4Network("172.18.0.0/16"),)
    assert network.interface == "br-0123456789ab"


def test_a_container_that_is_not_there_is_none(engine: FakeEngine) -> None:
    assert PODMAN.container("it") is None
    engine.knows_container({"a": "b"}, running=False)
    found = PODMAN.container("it")
    assert found is not None
    assert (found.running, found.labels) == (False, {"a": "b"})


def test_removing_what_is_gone_is_no_error(engine: FakeEngine) -> None:
    engine.refuses("Error: no such container x")
    PODMAN.remove_containers("x")
    PODMAN.remove_containers()
    assert len(engine.calls) == 1


def test_warnings_about_other_peoples_files_are_not_the_reason(engine: FakeEngine) -> None:
    engine.refuses('time="x" level=warning msg="Error validating CNI config file"\nError: it is broken\n')
    with pytest.raises(EngineError) as caught:
        PODMAN.run("start", "x")
    assert str(caught.value) == "podman start: it is broken. Fix the cause above, then rerun the command."


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("sudo: a password is required", ("sudo asks for a password", "`sudo -v`")),
        ("Cannot connect to the Docker daemon at unix:///x", ("is not running", "systemctl start docker")),
        ("write /var: no space left on device", ("disk is full", "Free some disk")),
        (
            "Error: subnet 10.1.0.0/24 is already used on the host or by another config",
            ("uses the subnet", "pulumi config set subnet"),
        ),
    ],
)
def test_what_an_engine_refuses_is_told_with_what_to_type(
    engine: FakeEngine, refusal: str, words: tuple[str, ...]
) -> None:
    engine.refuses(refusal)
    with pytest.raises(EngineError) as caught:
        PODMAN.run("start", "x")
    assert all(word in str(caught.value) for word in words)
    assert refusal in caught.value.output


def test_a_command_that_hangs_is_ended(engine: FakeEngine) -> None:
    with pytest.raises(EngineError, match="no answer within"):
        run_as_root(["sleep", "60"], timeout=0.2)


def test_others_than_root_go_through_sudo_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\nprintf '%s ' \"$@\"\n")
    sudo.chmod(sudo.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run_as_root(["podman", "ps"]).split() == ["-n", "podman", "ps"]
    assert typed("podman") == "sudo podman"
