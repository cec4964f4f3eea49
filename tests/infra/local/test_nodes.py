"""A node: its container, its identity, and what makes it another node.

That such a container boots and answers is shown by test_real_stack.py.
"""

from __future__ import annotations

import io
import socket
import tarfile
import threading
from collections.abc import Iterator

import pytest

from bootstrap.errors import StackError, Unreachable
from infra import tags
from infra.local import nodes
from infra.local.engine import Engine, EngineError
from infra.local.node_spec import NodeSpec, create_arguments, identity, mac_address
from infra.local.nodes import NodeProvider
from infra.local.probe import Findings, find
from tests.infra.conftest import FakeEngine

OURS = tags.labels("dev", "/here")
SPEC = NodeSpec(
    engine="podman",
    container="caffe-spark-dev-w1",
    hostname="w1",
    address="127.0.0.1",
    network="caffe-spark-dev",
    image="localhost/caffe-spark-node:0",
    vcpu=2,
    memory_mb=3072,
    host_private_key="-----PRIVATE-----",
    host_public_key="ssh-ed25519 AAAAhost",
    authorized_key="ssh-ed25519 AAAAoperator",
    labels=OURS,
)


def props(**changes: object) -> dict[str, object]:
    return {**vars(SPEC), **changes}


@pytest.fixture
def sshd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Something that greets as an SSH server does, where the node's would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(nodes, "PORT", server.getsockname()[1])

        def greet() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"SSH-2.0-test\r\n")
                connection.close()

        threading.Thread(target=greet, daemon=True).start()
        yield


@pytest.fixture
def no_sshd(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(nodes, "PORT", server.getsockname()[1])


def test_the_command_says_name_address_limits_and_flags() -> None:
    found = Findings(arguments=("--runtime=runc",))
    command = create_arguments(SPEC, ("--systemd=always", "--no-hosts"), found)
    for argument in (
        *("--name=caffe-spark-dev-w1", "--hostname=w1", "--network=caffe-spark-dev", "--ip=127.0.0.1"),
        *("--cpus=2", "--memory=3072m", "--runtime=runc", "--systemd=always", "--no-hosts"),
        "--label=caffe-spark.stack=dev",
    ):
        assert argument in command
    assert command[-2:] == ["localhost/caffe-spark-node:0", "/sbin/init"]


def test_without_limits_on_the_host_none_are_asked_for() -> None:
    command = create_arguments(SPEC, (), Findings(limits=False))
    assert not any(argument.startswith(("--cpus", "--memory")) for argument in command)


def test_no_key_stands_in_the_command() -> None:
    assert "PRIVATE" not in " ".join(create_arguments(SPEC, (), Findings()))


def test_a_node_keeps_its_mac_address_as_it_keeps_its_address() -> None:
    assert mac_address("10.89.77.11") == "02:ca:0a:59:4d:0b"


def test_its_identity_is_one_archive_with_a_private_host_key() -> None:
    with tarfile.open(fileobj=io.BytesIO(identity(SPEC))) as archive:
        files = {entry.name: entry for entry in archive.getmembers()}
        hosts = archive.extractfile("etc/hosts")
        assert hosts is not None
        assert b"127.0.0.1 localhost\n" in hosts.read()
    assert files["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert "etc/ssh/authorized_keys/ops" in files


@pytest.mark.usefixtures("sshd")
def test_a_living_node_is_unchanged(engine: FakeEngine) -> None:
    engine.knows_container(OURS)
    assert not NodeProvider().diff("id", props(), props()).changes
    assert NodeProvider().read("id", props()).id == "id"


def test_a_removed_node_is_gone_and_replaced(engine: FakeEngine) -> None:
    assert NodeProvider().read("id", props()).id == ""
    diff = NodeProvider().diff("id", props(), props())
    assert diff.replaces == ["container"]
    assert diff.delete_before_replace


def test_a_node_that_exited_is_gone(engine: FakeEngine) -> None:
    engine.knows_container(OURS, running=False)
    assert NodeProvider().read("id", props()).id == ""


@pytest.mark.usefixtures("no_sshd")
def test_a_node_without_sshd_is_gone(engine: FakeEngine) -> None:
    engine.knows_container(OURS)
    assert NodeProvider().read("id", props()).id == ""


@pytest.mark.usefixtures("sshd")
@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"vcpu": 1}, []),
        ({"memory_mb": 4096}, []),
        ({"image": "other"}, ["image"]),
        ({"address": "127.0.0.2"}, ["address"]),
        ({"host_private_key": "other"}, ["host_private_key"]),
        ({"authorized_key": "other"}, ["authorized_key"]),
        ({"network": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}, ["network"]),
    ],
)
def test_size_changes_in_place_and_the_rest_replaces(
    engine: FakeEngine, change: dict[str, object], replaces: list[str]
) -> None:
    engine.knows_container(OURS)
    diff = NodeProvider().diff("id", props(), props(**change))
    assert diff.changes
    assert diff.replaces == replaces


@pytest.mark.usefixtures("sshd")
def test_a_moved_project_folder_changes_no_node(engine: FakeEngine) -> None:
    engine.knows_container(OURS)
    assert not NodeProvider().diff("id", props(), props(labels=tags.labels("dev", "/moved"))).changes


def test_numbers_come_back_from_the_engine_as_floats() -> None:
    assert NodeSpec.of(props(vcpu=2.0, memory_mb=3072.0)) == SPEC


def test_new_limits_are_set_on_the_running_node(engine: FakeEngine) -> None:
    outs = NodeProvider().update("id", props(), props(vcpu=1.0, memory_mb=4096.0)).outs
    assert engine.calls[-1] == "update --cpus=1 --memory=4096m --memory-swap=4096m id"
    assert outs is not None
    assert (outs["vcpu"], outs["memory_mb"]) == (1, 4096)


def test_what_an_interrupted_run_left_is_replaced(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.knows_container(OURS)
    monkeypatch.setattr(nodes, "_wait_until_ready", lambda *_: None)
    assert NodeProvider().create(props()).id == "0123456789ab"
    removed = next(call for call in engine.calls if call.startswith("rm "))
    assert removed.endswith("fedcba")


def test_somebody_elses_container_of_that_name_is_refused(engine: FakeEngine) -> None:
    engine.knows_container({"maintainer": "somebody"})
    with pytest.raises(StackError, match=r"belongs to something else.*podman rm -f caffe-spark-dev-w1"):
        NodeProvider().create(props())
    assert not any(call.startswith(("rm", "create")) for call in engine.calls)


def test_a_node_that_does_not_start_is_removed_again(engine: FakeEngine) -> None:
    find(Engine("podman"), SPEC.image)
    engine.refuses("Error: no more room")
    with pytest.raises(EngineError, match="no more room"):
        NodeProvider().create(props())
    assert any(call.startswith("rm ") and call.endswith("0123456789ab") for call in engine.calls)


def test_a_node_that_shows_another_host_key_is_removed_again(engine: FakeEngine) -> None:
    with pytest.raises(Unreachable, match="does not present the stack's host key"):
        NodeProvider().create(props())
    assert any(call.startswith("rm ") and call.endswith("0123456789ab") for call in engine.calls)
