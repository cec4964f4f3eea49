"""SSH connections: scripts and files on nodes. No other module opens SSH.

A script is sent on stdin of `sh` (never in argv, which every user of the node can read), runs as root, and
its output is streamed line by line.
"""

from __future__ import annotations

import base64
import io
import logging
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import paramiko
from fabric import Connection

from bootstrap.aside import replacing, token
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import CommandFailed, ConfigError, Unreachable

CONNECT_TIMEOUT = 8.0
"""Seconds; a node on the cluster's own network answers within one."""
PROXY_TIMEOUT = 60.0
"""Seconds; a proxy command opens a session with the cloud first."""
KEEPALIVE = 15
TIMED_OUT = 124
"""Exit code of a script that ran past its time-out, as coreutils' `timeout` has it."""
SSH_PORT = 22
KEPT = 1 << 20
"""Bytes kept of each stream that is passed on line by line: a log may be followed for days."""
SCRATCH = "/tmp"  # noqa: S108 - on the node, where files on their way are for their owner only

# Its errors are raised as well; without a handler it would print tracebacks.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """Result of a script: exit code (124: it timed out) and output, complete unless it was passed on."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """True when the exit code is 0."""
        return self.exit_code == 0

    @property
    def tail(self) -> str:
        """The last lines of both streams, for messages."""
        return "\n".join((self.stdout + "\n" + self.stderr).strip().splitlines()[-10:])


class Remote(Protocol):
    """A node that scripts run on; `connect` yields the implementation over SSH."""

    @property
    def node(self) -> Node:
        """The node at the other end."""
        ...

    def run(
        self, script: str, *, check: bool = True, timeout: float | None = None, on_line: OnLine | None = None
    ) -> Result:
        """Run a POSIX shell script as root; `on_line` gets each line of both streams as it comes.

        Raises:
            CommandFailed: `check` is on and the status is not 0.
            Unreachable: the connection broke.
        """
        ...

    def put(self, data: bytes | Path, path: str, *, mode: int = 0o644) -> None:
        """Write bytes, or a local file, to `path` as root, in one rename."""
        ...

    def get(self, path: str, to: Path) -> None:
        """Copy a remote file to a local path, in one rename.

        Raises:
            CommandFailed: there is no such file.
        """
        ...


class SshRemote:
    """A `Remote` over one SSH connection; threads may share it."""

    def __init__(self, connection: Connection, node: Node, stack: str) -> None:
        self._connection, self._node, self._stack = connection, node, stack

    @property
    def node(self) -> Node:
        """The node at the other end."""
        return self._node

    def run(
        self, script: str, *, check: bool = True, timeout: float | None = None, on_line: OnLine | None = None
    ) -> Result:
        """See `Remote.run`."""
        try:
            result = self._run(script, timeout, on_line)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error
        if check and not result.ok:
            why = (
                "it ran past its time-out" if result.exit_code == TIMED_OUT else f"status {result.exit_code}"
            )
            first = next((line for line in script.splitlines() if line.strip()), "")
            raise CommandFailed(
                f"{self._node.name}: `{first.strip()[:80]}`",
                f"{why}: {result.tail or 'no output'}",
                "Run `fab doctor`.",
                exit_code=result.exit_code,
                output=result.tail,
            )
        return result

    def _run(self, script: str, timeout: float | None, on_line: OnLine | None) -> Result:
        channel: paramiko.Channel = self._connection.create_session()
        channel.exec_command("sh -s" if self._connection.user == "root" else "sudo -n sh -s")
        out, err = _Collector(on_line), _Collector(on_line)
        readers = [
            threading.Thread(target=_drain, args=(channel.recv, out), daemon=True),
            threading.Thread(target=_drain, args=(channel.recv_stderr, err), daemon=True),
        ]
        for reader in readers:
            reader.start()
        channel.sendall(script.encode())
        channel.shutdown_write()
        deadline = None if timeout is None else time.monotonic() + timeout
        for reader in readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if any(reader.is_alive() for reader in readers):
            channel.close()
            return Result(TIMED_OUT, out.text(), err.text())
        code = channel.recv_exit_status()
        channel.close()
        if code == -1:
            raise EOFError("the connection closed before the command ended")
        return Result(code, out.text(), err.text())

    def put(self, data: bytes | Path, path: str, *, mode: int = 0o644) -> None:
        """See `Remote.put`."""
        word = token()
        staging, target = f"{SCRATCH}/.put-{word}", shlex.quote(path)
        with self._sftp(staging) as sftp:
            sftp.open(staging, "w").close()
            sftp.chmod(staging, 0o600)
            if isinstance(data, Path):
                sftp.put(str(data), staging)
            else:
                sftp.putfo(io.BytesIO(data), staging)
        self.run(
            f"set -e; new={shlex.quote(f'{path}.{word}')}; trap 'rm -f {staging} \"$new\"' EXIT\n"
            f'mkdir -p "$(dirname {target})"; chown root:root {staging}; chmod {mode:o} {staging}\n'
            # The first move may cross file systems; only the second one has to be at once.
            f'mv -f {staging} "$new"; mv -fT "$new" {target}'
        )

    def get(self, path: str, to: Path) -> None:
        """See `Remote.get`."""
        readable = f"{SCRATCH}/.get-{token()}"
        self.run(f"set -e; install -m 0400 -o {self._connection.user} {shlex.quote(path)} {readable}")
        with replacing(to) as new, self._sftp(readable) as sftp:
            sftp.get(readable, str(new))
            sftp.remove(readable)

    @contextmanager
    def _sftp(self, scratch: str) -> Iterator[paramiko.SFTPClient]:
        """Open an SFTP session; after a failed transfer remove `scratch`, if the node still responds."""
        try:
            with self._connection.client.open_sftp() as sftp:
                try:
                    yield sftp
                except (paramiko.SSHException, OSError, EOFError):
                    with suppress(paramiko.SSHException, OSError, EOFError):
                        sftp.remove(scratch)
                    raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error

    def _lost(self, error: BaseException) -> Unreachable:
        return Unreachable(
            f"{self._node.name} ({self._node.address})",
            f"the SSH connection broke: {error or type(error).__name__}",
            f"Run `fab doctor --stack {self._stack}`, then rerun the command.",
        )


class _Collector:
    """Collector of a stream that passes on complete lines, and keeps the end of what it has passed on."""

    def __init__(self, on_line: OnLine | None) -> None:
        self._on_line, self._chunks, self._rest = on_line, deque[bytes](), b""
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        if self._on_line is None:
            return
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) >= KEPT:
            self._size -= len(self._chunks.popleft())
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) >= KEPT:
            lines.append(self._rest)  # a line without end is passed on in pieces
            self._rest = b""
        for line in lines:
            self._on_line(line.decode(errors="replace"))

    def close(self) -> None:
        if self._on_line is not None and self._rest:
            self._on_line(self._rest.decode(errors="replace"))
            self._rest = b""

    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace")


def _drain(receive: Callable[[int], bytes], into: _Collector) -> None:
    while chunk := receive(65536):
        into.feed(chunk)
    into.close()


@contextmanager
def connect(cluster: Cluster, node: Node) -> Iterator[SshRemote]:
    """Log in to a node; its host key must be the one that is recorded for it.

    Raises:
        Unreachable: it does not answer, refuses our key, or shows another host key.
        ConfigError: the operator's private key cannot be read.
    """
    connection = _connection(cluster, node)
    with _translate_errors(cluster, node, connection):
        if isinstance(connection.gateway, Connection):
            with _translate_errors(cluster, cluster.head, connection.gateway):
                connection.gateway.open()
        connection.open()
        connection.transport.set_keepalive(KEEPALIVE)
    try:
        yield SshRemote(connection, node, cluster.stack)
    finally:
        _close(connection)


def _connection(cluster: Cluster, node: Node) -> Connection:
    """Return a connection, not yet open, with its gateway and the only host key that it accepts."""
    ssh, target = cluster.ssh, node.ssh_target or node.address
    at_head = node.name == cluster.head.name
    gateway: Connection | str | None = None
    if at_head:
        gateway = ssh.proxy_command
    elif ssh.jump:
        gateway = _connection(cluster, cluster.head)
    # A proxy command first starts a program and a session, and some send output before the server does.
    patience = PROXY_TIMEOUT if ssh.proxy_command else CONNECT_TIMEOUT
    connection = Connection(
        target,
        user=ssh.user,
        port=ssh.port,
        gateway=gateway,
        connect_timeout=patience,
        connect_kwargs={
            "pkey": _private_key(cluster),
            "allow_agent": False,
            "look_for_keys": False,
            "banner_timeout": patience,
            "auth_timeout": patience,
        },
    )
    keys = connection.client.get_host_keys()
    keys.clear()
    kind, key = node.host_key.split()[:2]
    name = target if ssh.port == SSH_PORT else f"[{target}]:{ssh.port}"
    keys.add(name, kind, paramiko.PKey.from_type_string(kind, base64.b64decode(key)))
    # Fabric trusts any host by default; the stack has recorded each host key.
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    return connection


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


@contextmanager
def _translate_errors(cluster: Cluster, node: Node, connection: Connection) -> Iterator[None]:
    """Translate errors of opening a connection, and close what is open then."""
    again = f"Run {cluster.members.repair(cluster.stack)}; then rerun the command."
    where = f"{node.name} ({node.address})"
    try:
        yield
    except Unreachable:
        _close(connection)
        raise
    except paramiko.BadHostKeyException as error:
        _close(connection)
        raise _other_key(cluster, node, where) from error
    except paramiko.AuthenticationException as error:
        _close(connection)
        raise Unreachable(where, f"it refuses the stack's key for {cluster.ssh.user}", again) from error
    except (OSError, paramiko.SSHException, EOFError) as error:
        _close(connection)
        said = str(error) or type(error).__name__
        if cluster.ssh.proxy_command and isinstance(error, FileNotFoundError):
            program = cluster.ssh.proxy_command.split()[0]
            raise Unreachable(
                where, f"`{program}` is not on PATH, and SSH goes through it", f"Install {program}."
            ) from error
        raise Unreachable(where, f"SSH does not answer ({said})", again) from error


def _other_key(cluster: Cluster, node: Node, where: str) -> Unreachable:
    at_head = node.name == cluster.head.name
    return Unreachable(where, *cluster.members.changed_host_key(node.name, cluster.stack, is_head=at_head))


def _close(connection: Connection) -> None:
    connection.close()
    if isinstance(connection.gateway, Connection):
        connection.gateway.close()
