"""Ways to nodes that SSH cannot reach directly: a proxy command to the head, through the head to workers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from bootstrap.cluster import AutoScalingGroup, Cluster, Node, SshAccess
from bootstrap.errors import ConfigError, Unreachable
from bootstrap.ssh.remote import connect
from tests.conftest import HOST_KEY

RELAY = """
import os, socket, sys, threading
print("Starting session with SessionId: stand-in", file=sys.stderr)
target = {known}[sys.argv[1]]
peer = socket.create_connection((target, int(sys.argv[2])))
def inwards():
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=inwards, daemon=True).start()
while data := peer.recv(65536):
    os.write(1, data)
"""


def with_ssh(cluster: Cluster, **changes: object) -> Cluster:
    return cluster.model_copy(update={"ssh": cluster.ssh.model_copy(update=changes)})


@pytest.mark.cluster
def test_workers_are_reached_through_the_head(real_cluster: Cluster) -> None:
    through = with_ssh(real_cluster, jump=True)
    with connect(through, through.node("w1")) as remote:
        said = remote.run('hostname; echo "$SSH_CONNECTION $(cat /proc/$PPID/environ)" | tr "\\0" " "').stdout
        came_from = remote.run("ss -tn state established '( sport = :22 )' | tail -n +2").stdout
    assert said.splitlines()[0] == "w1"
    assert real_cluster.head.address in came_from


@pytest.mark.cluster
def test_on_the_way_too_every_host_proves_who_it_is(real_cluster: Cluster) -> None:
    through = with_ssh(real_cluster, jump=True)
    impostor = through.model_copy(
        update={"head": through.head.model_copy(update={"host_key": through.node("w1").host_key})}
    )
    with (
        pytest.raises(Unreachable, match=r"head .*another host key"),
        connect(impostor, impostor.node("w2")),
    ):
        pass


@pytest.mark.cluster
def test_the_head_is_reached_by_a_command_that_knows_it_by_another_name(
    real_cluster: Cluster, tmp_path: Path
) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(RELAY.replace("{known}", repr({"i-0123": real_cluster.head.address})))
    there = real_cluster.model_copy(
        update={"head": real_cluster.head.model_copy(update={"ssh_target": "i-0123"})}
    )
    there = with_ssh(there, proxy_command=f"{sys.executable} {relay} %h %p", jump=True)
    for name in ("head", "w1"):
        with connect(there, there.node(name)) as remote:
            assert remote.run("hostname").stdout.strip() == name


def test_a_missing_program_on_the_way_is_named(cluster: Cluster, private_key: str) -> None:
    there = with_ssh(cluster, proxy_command="no-such-program %h", private_key=SecretStr(private_key))
    with (
        pytest.raises(Unreachable, match=r"`no-such-program` is not on PATH.*Install no-such-program"),
        connect(there, there.head),
    ):
        pass


def test_a_private_key_of_the_operators_is_read_from_its_file(
    cluster: Cluster, private_key: str, tmp_path: Path
) -> None:
    file = tmp_path / "key.pem"
    access = SshAccess(user="ubuntu", private_key_file=str(file))
    there = cluster.model_copy(update={"ssh": access})
    with (
        pytest.raises(ConfigError, match=r"privateKeyFile .*key\.pem: it cannot be read"),
        connect(there, there.head),
    ):
        pass
    file.write_text(private_key)
    with (
        pytest.raises(Unreachable, match="SSH does not answer"),
        connect(with_ssh(there, port=1), Node(name="w1", address="127.0.0.1", host_key=HOST_KEY)),
    ):
        pass


def test_a_member_of_a_group_that_is_silent_is_looked_up_with_the_group(
    cluster: Cluster, private_key: str
) -> None:
    group = AutoScalingGroup(name="workers", region="eu-west-1", desired_capacity=1)
    there = with_ssh(
        cluster.model_copy(update={"members": group}), port=1, private_key=SecretStr(private_key)
    )
    with (
        pytest.raises(Unreachable, match="Run `fab workers --stack dev`"),
        connect(there, Node(name="w1", address="127.0.0.1", host_key=HOST_KEY)),
    ):
        pass
