"""Tunnels from ports of this machine's loopback to services that nodes reach."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import Unreachable
from bootstrap.ssh import limits
from bootstrap.ssh.client import client
from bootstrap.ssh.remote import connect

LOOPBACK = "127.0.0.1"
_LOOK = 0.05
"""Seconds between two looks at a port that is about to open."""


@dataclass(frozen=True)
class Tunnel:
    """An open tunnel: a port of this machine that leads to `host`:`port`, as the node knows them."""

    local_port: int
    host: str
    port: int


class Tunnels:
    """Tunnels over one connection, which are open as long as it lasts."""

    def __init__(self, process: subprocess.Popen[bytes], node: Node, opened: Sequence[Tunnel]) -> None:
        self._process, self._node, self.opened = process, node, tuple(opened)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the connection ends, or for `timeout` seconds.

        Raises:
            Unreachable: it has ended.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
            raise Unreachable(
                f"{self._node.name} ({self._node.address})",
                "the SSH connection of the tunnels broke",
                "Run `fab doctor`, then rerun the command.",
            )


@contextmanager
def tunnels(cluster: Cluster, node: Node, targets: Sequence[tuple[str, int]]) -> Iterator[Tunnels]:
    """Open a tunnel through a node to each `(host, port)`; they are closed with the block.

    A tunnel has the target's port on this machine if that is free, else a free one.

    Raises:
        Unreachable: the node does not answer, refuses our key, or shows another host key.
        ConfigError: the operator's private key cannot be read, or this machine has no OpenSSH client.
    """
    # See `shell`.
    with connect(cluster, node):
        pass
    opened = _with_free_ports(targets)
    # Quiet: a service that does not answer is told by whoever asks it.
    options = ["-N", "-T", "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR"]
    for tunnel in opened:
        options += ["-L", f"{LOOPBACK}:{tunnel.local_port}:{tunnel.host}:{tunnel.port}"]
    # A session of its own: Ctrl-C ends what this process does, and it then ends the client.
    with client(cluster, node, options, stdin=subprocess.DEVNULL, own_session=True) as process:
        running = Tunnels(process, node, opened)
        deadline = time.monotonic() + (limits.PROXY if cluster.ssh.proxy_command else limits.ANSWER)
        while not all(_listens(tunnel.local_port) for tunnel in opened):
            running.wait(_LOOK)
            if time.monotonic() > deadline:
                process.terminate()
        yield running


def _with_free_ports(targets: Sequence[tuple[str, int]]) -> list[Tunnel]:
    """Choose ports of this machine. All stay bound until all are chosen, so no port is chosen twice."""
    bound: list[socket.socket] = []
    try:
        for _, port in targets:
            bound.append(_bound(port))
        ports = [listener.getsockname()[1] for listener in bound]
    finally:
        for listener in bound:
            listener.close()
    return [Tunnel(local, host, port) for local, (host, port) in zip(ports, targets, strict=True)]


def _bound(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError:
        return socket.create_server((LOOPBACK, 0))


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), limits.CHECK).close()
    except OSError:
        return False
    return True
