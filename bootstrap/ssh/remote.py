"""Scripts and files on nodes over SSH. Nothing else uses the modules that open connections.

A script is sent on stdin of `sh` (never in argv, which every user of the node can read), runs as root, and
its output is streamed line by line. Every operation ends within a limit (`bootstrap.ssh.limits`), also on a
network that swallows packets.
"""

from __future__ import annotations

import io
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import paramiko

from bootstrap.aside import replacing, token
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import CommandFailed, IntegrityError, Unreachable
from bootstrap.ssh import limits
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.login import logged_in
from bootstrap.ssh.session import BROKEN, Session
from bootstrap.ssh.watch import Limit
from bootstrap.sums import sha256_of

TIMED_OUT = 124
"""Exit code of a script that ran past its time-out, as coreutils' `timeout` has it."""
KEPT = 1 << 20
"""Bytes kept of each stream that is passed on line by line: a log may be followed for days."""
SCRATCH = "/tmp"  # noqa: S108 - on the node, where files on their way are for their owner only

OnLine = Callable[[str], None]
Moved = Callable[[int, int], None]
"""Called with the bytes that have been transferred, and all of them."""


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
        self,
        script: str,
        *,
        check: bool = True,
        timeout: float = limits.RUN,
        on_line: OnLine | None = None,
    ) -> Result:
        """Run a POSIX shell script as root; `on_line` gets each line of both streams as it comes.

        A script that has started and not ended after `timeout` seconds has exit code TIMED_OUT.

        Raises:
            CommandFailed: `check` is on and the status is not 0.
            Unreachable: the connection broke, or the node did not start the script in time.
        """
        ...

    def put(self, data: bytes | Path, path: str, *, mode: int = 0o644) -> None:
        """Write bytes, or a local file, to `path` as root, in one rename.

        Raises:
            CommandFailed: the file cannot be moved there.
            Unreachable: the connection broke, or the transfer stalled.
        """
        ...

    def get(self, path: str, to: Path, *, user: str = "root") -> None:
        """Copy a remote file, read with the rights of `user`, to a local path, in one rename.

        Raises:
            CommandFailed: there is no such file.
            Unreachable: the connection broke, or the transfer stalled.
        """
        ...

    def receive(
        self, script: str, to: Path, *, timeout: float = limits.RUN, moved: Moved | None = None
    ) -> Result:
        """Write the stdout of a script, run as root, to a local path in one rename, if it ends with 0.

        Raises:
            IntegrityError: what arrived is not what was sent.
            Unreachable: the connection broke, or the transfer stalled.
        """
        ...

    def send(
        self, source: Path, script: str, *, timeout: float = limits.RUN, moved: Moved | None = None
    ) -> Result:
        """Run a script as root with a copy of a local file at `"$file"`, which is removed afterwards.

        Raises:
            Unreachable: the connection broke, or the transfer stalled.
        """
        ...


Connect = Callable[[Cluster, Node], AbstractContextManager[Remote]]
"""Opens a connection to a node, for a block; see `connect`."""


class SshRemote:
    """A `Remote` over one SSH connection; threads may share it."""

    def __init__(self, session: Session, node: Node, cluster: Cluster) -> None:
        self._session, self._node = session, node
        self._user, self._stack = cluster.ssh.user, cluster.stack

    @property
    def node(self) -> Node:
        """The node at the other end."""
        return self._node

    @property
    def alive(self) -> bool:
        """False when the connection is known to have ended."""
        return self._session.alive

    def run(
        self,
        script: str,
        *,
        check: bool = True,
        timeout: float = limits.RUN,
        on_line: OnLine | None = None,
    ) -> Result:
        """See `Remote.run`."""
        try:
            result = self._run(script, timeout, on_line)
        except BROKEN as error:
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

    def _run(self, script: str, timeout: float, on_line: OnLine | None) -> Result:
        out, err = _Collector(on_line), _Collector(on_line)
        deadline = time.monotonic() + timeout
        shell = "sh -s" if self._user == "root" else "sudo -n sh -s"
        with (
            self._session.command(shell, min(timeout, limits.ANSWER)) as channel,
            Limit(deadline - time.monotonic(), channel.close) as limit,
        ):
            readers = [
                threading.Thread(target=_drain, args=(channel.recv, out), daemon=True),
                threading.Thread(target=_drain, args=(channel.recv_stderr, err), daemon=True),
            ]
            for reader in readers:
                reader.start()
            with suppress(OSError):  # a script may end before it has been read whole
                channel.sendall(script.encode())
                channel.shutdown_write()
            for reader in readers:
                reader.join(limit.left)
            code = channel.recv_exit_status()
        if code == -1:
            if not limit.passed:
                raise EOFError("the connection closed before the command ended")
            code = TIMED_OUT
        out.close()
        err.close()
        return Result(code, out.text(), err.text())

    def put(self, data: bytes | Path, path: str, *, mode: int = 0o644) -> None:
        """See `Remote.put`."""
        word = token()
        # A folder, which is its owner's alone from the start: SFTP makes files readable for all, and is told
        # another mode one round trip later, when a local user may have opened them.
        folder, target = f"{SCRATCH}/.put-{word}", shlex.quote(path)
        staging = f"{folder}/file"
        with self._files(staging, folder) as sftp:
            sftp.mkdir(folder, 0o700)
            if isinstance(data, Path):
                sftp.put(str(data), staging)
            else:
                sftp.putfo(io.BytesIO(data), staging)
        self.run(
            f"set -e; new={shlex.quote(f'{path}.{word}')}; trap 'rm -rf {folder} \"$new\"' EXIT\n"
            f'mkdir -p "$(dirname {target})"; chown root:root {staging}; chmod {mode:o} {staging}\n'
            # The first move may cross file systems; only the second one has to be at once.
            f'mv -f {staging} "$new"; mv -fT "$new" {target}'
        )

    def get(self, path: str, to: Path, *, user: str = "root") -> None:
        """See `Remote.get`."""
        readable, source = f"{SCRATCH}/.get-{token()}", shlex.quote(path)
        self.run(
            f"set -e; umask 077; trap '[ $? -eq 0 ] || rm -f {readable}' EXIT\n"
            f"{AS_USER}set -C; as_user {shlex.quote(user)} cat {source} >{readable}\n"
            f"chown {self._user} {readable}; chmod 0400 {readable}"
        )
        with replacing(to) as new, self._files(readable) as sftp:
            sftp.get(readable, str(new))
            sftp.remove(readable)

    def receive(
        self, script: str, to: Path, *, timeout: float = limits.RUN, moved: Moved | None = None
    ) -> Result:
        """See `Remote.receive`."""
        readable = f"{SCRATCH}/.get-{token()}"
        made = self.run(
            f"set -e; umask 077; trap '[ $? -eq 0 ] || rm -f {readable}' EXIT\nset -C\n"
            f"(\n{script}\n) >{readable}\nsha256sum <{readable}\n"
            f"chown {self._user} {readable}; chmod 0400 {readable}",
            check=False,
            timeout=timeout,
        )
        if not made.ok:
            return made
        with replacing(to) as new, self._files(readable) as sftp:
            sftp.get(readable, str(new), callback=moved)
            sftp.remove(readable)
            if sha256_of(new) != made.stdout.split()[0]:
                raise IntegrityError(
                    str(to), f"what came from {self._node.name} has another sha256", "Rerun the command."
                )
        return made

    def send(
        self, source: Path, script: str, *, timeout: float = limits.RUN, moved: Moved | None = None
    ) -> Result:
        """See `Remote.send`."""
        folder = f"{SCRATCH}/.put-{token()}"
        staging = f"{folder}/file"
        with self._files(staging, folder) as sftp:
            sftp.mkdir(folder, 0o700)
            sftp.put(str(source), staging, callback=moved)
        return self.run(
            f"set -e; file={staging}; trap 'rm -rf {folder}' EXIT\nchown -R root:root {folder}\n"
            f'[ "$(sha256sum <"$file" | cut -c1-64)" = {sha256_of(source)} ] || '
            "{ echo 'what arrived has another sha256' >&2; exit 1; }\n"
            f"(\n{script}\n)",
            check=False,
            timeout=timeout,
        )

    @contextmanager
    def _files(self, scratch: str, folder: str | None = None) -> Iterator[paramiko.SFTPClient]:
        try:
            with self._session.files(scratch, folder) as sftp:
                yield sftp
        except BROKEN as error:
            raise self._lost(error) from error

    def _lost(self, error: BaseException) -> Unreachable:
        return Unreachable(
            f"{self._node.name} ({self._node.address})",
            f"the SSH connection broke: {self._session.reason(error)}",
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
        """Pass on a last line without an end, of a stream that did end."""
        if self._on_line is not None and self._rest:
            self._on_line(self._rest.decode(errors="replace"))
            self._rest = b""

    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace")


def _drain(receive: Callable[[int], bytes], into: _Collector) -> None:
    while chunk := receive(65536):
        into.feed(chunk)


@contextmanager
def connect(cluster: Cluster, node: Node) -> Iterator[SshRemote]:
    """Log in to a node; its host key must be the one that is recorded for it.

    Raises:
        Unreachable: it does not answer, refuses our key, or shows another host key.
        ConfigError: the operator's private key cannot be read.
    """
    with logged_in(cluster, node) as session:
        yield SshRemote(session, node, cluster)
