"""Keys of both sides, against a server in this process: the operator's, and the host's that it shows."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import paramiko
import pytest
from pydantic import SecretStr

from bootstrap.cluster import Cluster, ClusterDocument, Node
from bootstrap.errors import ConfigError, Unreachable
from bootstrap.remote import connect
from infra.keys import SshKeyProvider
from tests.bootstrap.hdinsight_cluster import hdinsight

__all__ = ["hdinsight"]

ENDPOINT = "127.0.0.1"


class _Door(paramiko.ServerInterface):
    """Lets one public key in, as whatever user."""

    def __init__(self, public: str) -> None:
        self.public = public.split()[1]

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, _username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() == self.public else paramiko.AUTH_FAILED


class Server:
    """An SSH server on this machine."""

    def __init__(self) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self.door = _Door("ssh-ed25519 none")
        self._listener = socket.create_server((ENDPOINT, 0))
        self.port = self._listener.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def host_key(self) -> str:
        return f"{self.key.get_name()} {self.key.get_base64()}"

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(peer)
            transport.add_server_key(self.key)
            self._transports.append(transport)
            try:
                transport.start_server(server=self.door)
            except (paramiko.SSHException, EOFError):
                continue

    def close(self) -> None:
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def holds(self, cluster: ClusterDocument, private_key: str, host_key: str) -> Cluster:
        """The cluster, with its head behind this server."""
        head = Node(name=cluster.head.name, address=ENDPOINT, ssh_target=ENDPOINT, host_key=host_key)
        ssh = cluster.ssh.model_copy(update={"private_key": SecretStr(private_key), "port": self.port})
        return Cluster.of(cluster.model_copy(update={"ssh": ssh}), head=head, workers=(head,))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def pair(kind: str) -> tuple[str, str]:
    made = SshKeyProvider().create({"purpose": "operator", **({"kind": kind} if kind else {})}).outs
    return made["private_key"], made["public_key"]


@pytest.mark.parametrize("kind", ["rsa", ""], ids=["rsa", "ed25519"])
def test_each_kind_of_key_that_stacks_make_opens_their_nodes(
    server: Server, cluster: Cluster, kind: str
) -> None:
    private, public = pair(kind)
    server.door = _Door(public)
    there = server.holds(cluster, private, server.host_key)
    with connect(there, there.head) as remote:
        assert remote.node == there.head


@pytest.mark.parametrize("text", ["-----PRIVATE-----", "", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"])
def test_a_text_that_is_no_private_key_is_said_in_one_line(cluster: Cluster, text: str) -> None:
    broken = cluster.model_copy(
        update={"ssh": cluster.ssh.model_copy(update={"private_key": SecretStr(text)})}
    )
    with (
        pytest.raises(ConfigError, match=r"private key of stack 'dev': it is no .*`pulumi up") as said,
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
