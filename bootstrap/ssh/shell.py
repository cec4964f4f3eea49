"""`fab ssh`: a shell, or one command, on a node with the operator's login."""

from __future__ import annotations

import sys

from bootstrap.cluster import Cluster, Node
from bootstrap.ssh.client import client
from bootstrap.ssh.remote import connect


def shell(cluster: Cluster, node: Node, command: str = "") -> int:
    """Open an interactive shell on a node, or run one command there; return its exit status.

    Streams are this process's own. The node's output is not escaped: the terminal is the node's meanwhile.

    Raises:
        Unreachable: the node does not answer, refuses our key, or shows another host key.
        ConfigError: the operator's private key cannot be read, or this machine has no OpenSSH client.
    """
    # Our own login first: it explains a node that does not answer, which the client does in its own words.
    with connect(cluster, node):
        pass
    # A command that begins with a dash is not an option.
    words = ("--", command) if command else ()
    terminal = not command and sys.stdin.isatty()
    with client(cluster, node, ["-t" if terminal else "-T"], words) as process:
        return process.wait()
