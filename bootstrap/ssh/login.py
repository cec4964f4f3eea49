"""Logins to nodes: the operator's key, the recorded host key, the way through a proxy command or the head."""

from __future__ import annotations

import base64
import io
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import paramiko

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import ConfigError, Unreachable
from bootstrap.ssh import limits
from bootstrap.ssh.line import Line, ProxyLine
from bootstrap.ssh.session import BROKEN, Session

SSH_PORT = 22
_NO_KEYS = "No existing session"
"""Paramiko's error where the exchange of keys has not ended in time."""

# Its errors are raised as well; without a handler it would print tracebacks.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


@contextmanager
def logged_in(cluster: Cluster, node: Node) -> Iterator[Session]:
    """Log in to a node, through the head where the cluster says so; the connection ends with the block.

    Raises:
        Unreachable: it does not answer, refuses our key, or shows another host key.
        ConfigError: the operator's private key cannot be read.
    """
    key = _private_key(cluster)
    with ExitStack() as stack:
        through = None
        if cluster.ssh.jump and node.name != cluster.head.name:
            through = stack.enter_context(_session(cluster, cluster.head, key))
        yield stack.enter_context(_session(cluster, node, key, through))


@contextmanager
def _session(
    cluster: Cluster, node: Node, key: paramiko.PKey, through: Session | None = None
) -> Iterator[Session]:
    # A proxy command first starts a program and a session, and some send output before the server does.
    patience = limits.PROXY if cluster.ssh.proxy_command else limits.CONNECT
    line: Line | None = None
    with ExitStack() as stack:
        try:
            line = _line(cluster, node, through, patience)
            stack.callback(line.close)
            client = stack.enter_context(_client(cluster, node))
            client.connect(
                _target(node),
                port=cluster.ssh.port,
                username=cluster.ssh.user,
                pkey=key,
                sock=cast(socket.socket, line),
                allow_agent=False,
                look_for_keys=False,
                timeout=patience,
                # Never the first to end: its error does not tell silence from a connection that was closed.
                banner_timeout=2 * patience,
                auth_timeout=patience,
                channel_timeout=limits.ANSWER,
            )
        except BROKEN as error:
            if str(error) == _NO_KEYS:
                error = TimeoutError(f"no answer for {patience:g} s")
            raise _unreachable(cluster, node, error, line) from error
        session = Session(cast(paramiko.Transport, client.get_transport()), line, through)
        stack.callback(session.close)
        yield session


def _target(node: Node) -> str:
    return node.ssh_target or node.address


def _line(cluster: Cluster, node: Node, through: Session | None, patience: float) -> Line:
    """Return the stream to a node's SSH server."""
    target, port = _target(node), cluster.ssh.port
    if through is not None:
        # Until the head has connected to the node, or given up.
        return Line(through.forward(target, port, patience))
    if cluster.ssh.proxy_command and node.name == cluster.head.name:
        way = f"Host *\n Port {port}\n ProxyCommand {cluster.ssh.proxy_command}"
        return ProxyLine(paramiko.SSHConfig.from_text(way).lookup(target)["proxycommand"])
    return Line(socket.create_connection((target, port), patience))


def _client(cluster: Cluster, node: Node) -> paramiko.SSHClient:
    """Return a client that accepts no host key but the recorded one."""
    client = paramiko.SSHClient()
    kind, key = node.host_key.split()[:2]
    target, port = _target(node), cluster.ssh.port
    name = target if port == SSH_PORT else f"[{target}]:{port}"
    client.get_host_keys().add(name, kind, paramiko.PKey.from_type_string(kind, base64.b64decode(key)))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    return client


def _private_key(cluster: Cluster) -> paramiko.PKey:
    if cluster.ssh.private_key is not None:
        return _parsed(cluster.ssh.private_key.get_secret_value(), cluster.stack)
    path = Path(str(cluster.ssh.private_key_file)).expanduser()
    try:
        return paramiko.PKey.from_path(path)
    # TypeError: what paramiko makes of a key with a passphrase and none given
    except (OSError, paramiko.SSHException, ValueError, TypeError) as error:
        raise ConfigError(
            f"privateKeyFile {path}",
            f"it cannot be read ({error or type(error).__name__})",
            "Put the key pair's private key there, without a passphrase, or fix the path.",
        ) from error


def _parsed(text: str, stack: str) -> paramiko.PKey:
    """Parse a private key of any kind: Azure accepts RSA only, the other providers use Ed25519."""
    for kind in (paramiko.Ed25519Key, paramiko.RSAKey, paramiko.ECDSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        # A key of another kind; for some kinds the error comes from the library below paramiko.
        except (paramiko.SSHException, ValueError, TypeError):
            continue
    raise ConfigError(
        f"the private key of stack {stack!r}",
        "it is not a valid Ed25519, RSA or ECDSA key without a passphrase",
        f"Run `pulumi up --refresh --stack {stack}`, then rerun the command.",
    )


def _unreachable(cluster: Cluster, node: Node, error: Exception, line: Line | None) -> Unreachable:
    """Translate an error of opening a connection."""
    where = f"{node.name} ({node.address})"
    again = f"Run {cluster.members.repair(cluster.stack)}; then rerun the command."
    if isinstance(error, paramiko.BadHostKeyException):
        at_head = node.name == cluster.head.name
        return Unreachable(
            where, *cluster.members.changed_host_key(node.name, cluster.stack, is_head=at_head)
        )
    if isinstance(error, paramiko.AuthenticationException) and not _silent(error):
        return Unreachable(where, f"it refuses the stack's key for {cluster.ssh.user}", again)
    if cluster.ssh.proxy_command and isinstance(error, FileNotFoundError):
        program = cluster.ssh.proxy_command.split()[0]
        return Unreachable(
            where, f"`{program}` is not on PATH, and SSH goes through it", f"Install {program}."
        )
    reasons = [str(error) or type(error).__name__, line.complaint if line is not None else ""]
    return Unreachable(where, f"SSH does not answer ({'; '.join(filter(None, reasons))})", again)


def _silent(error: paramiko.AuthenticationException) -> bool:
    """Return whether the login was not answered: paramiko has one type for this and for a refusal."""
    return str(error).startswith(("Authentication timeout", "Authentication failed: transport shut down"))
