"""Keys of both sides, against a server in this process: the operator's, and the host's that it shows."""

from __future__ import annotations

from collections.abc import Iterator

import paramiko
import pytest
from pydantic import SecretStr

from bootstrap.cluster import Cluster, ClusterDocument
from bootstrap.errors import ConfigError, Unreachable
from bootstrap.ssh.remote import connect
from infra.keys import SshKeyProvider
from tests.bootstrap.hdinsight_cluster import hdinsight
from tests.bootstrap.ssh_server import Door, Server
from tests.outputs import outputs_of

__all__ = ["hdinsight"]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def pair(kind: str) -> tuple[str, str]:
    made = outputs_of(SshKeyProvider(), purpose="operator", **({"kind": kind} if kind else {}))
    return made["private_key"], made["public_key"]


@pytest.mark.parametrize("kind", ["rsa", ""], ids=["rsa", "ed25519"])
def test_each_kind_of_key_that_stacks_make_opens_their_nodes(
    server: Server, cluster: Cluster, kind: str
) -> None:
    private, public = pair(kind)
    server.door = Door(public)
    there = server.holds(cluster, private, server.host_key)
    with connect(there, there.head) as remote:
        assert remote.node == there.head


@pytest.mark.parametrize("text", ["-----PRIVATE-----", "", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"])
def test_a_text_that_is_no_private_key_is_said_in_one_line(cluster: Cluster, text: str) -> None:
    broken = cluster.model_copy(
        update={"ssh": cluster.ssh.model_copy(update={"private_key": SecretStr(text)})}
    )
    with (
        pytest.raises(
            ConfigError, match=r"private key of stack 'dev': it is not a valid .*`pulumi up"
        ) as said,
        connect(broken, broken.head),
    ):
        pass
    assert "\n" not in str(said.value)


def test_another_head_of_hdinsight_behind_its_ssh_name_is_no_node_that_pulumi_replaces(
    server: Server, hdinsight: ClusterDocument
) -> None:
    private, _ = pair("")
    other = paramiko.ECDSAKey.generate()
    there = server.holds(hdinsight, private, f"{other.get_name()} {other.get_base64()}")
    with pytest.raises(Unreachable, match="other head node took over") as said, connect(there, there.head):
        pass
    assert "https://caffe-west.azurehdinsight.net" in said.value.fix
    assert "pulumi" not in str(said.value)


def test_a_silent_node_of_hdinsight_is_looked_up_in_azure(server: Server, hdinsight: ClusterDocument) -> None:
    private, _ = pair("")
    there = server.holds(hdinsight, private, server.host_key)
    server.close()
    with (
        pytest.raises(Unreachable, match="Run `az hdinsight show --name caffe-west") as said,
        connect(there, there.head),
    ):
        pass
    assert "pulumi" not in str(said.value)
