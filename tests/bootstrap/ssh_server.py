"""An SSH server in this process: commands run under this machine's own `sh`, files come by SFTP."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)
from paramiko.sftp import SFTP_OK
from pydantic import SecretStr

from bootstrap.cluster import Cluster, ClusterDocument, Node

ENDPOINT = "127.0.0.1"


class Door(paramiko.ServerInterface):
    """Admits one public key as any user; `env` is the environment of its commands.

    `routes` has the port on this machine of each other node that this one can reach.
    """

    def __init__(
        self, public: str, env: Mapping[str, str] | None = None, routes: Mapping[str, int] | None = None
    ) -> None:
        self.public, self.env, self.routes = public.split()[1], dict(env or {}), dict(routes or {})
        self.forwards: dict[int, int] = {}
        self.terminals: set[int] = set()

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, _username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if key.get_base64() == self.public else AUTH_FAILED

    def check_channel_request(self, kind: str, _chanid: int) -> int:
        allowed = kind == "session"
        return OPEN_SUCCEEDED if allowed else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_direct_tcpip_request(
        self, chanid: int, _origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        if destination[0] not in self.routes:
            return OPEN_FAILED_CONNECT_FAILED
        self.forwards[chanid] = self.routes[destination[0]]
        return OPEN_SUCCEEDED

    def forward(self, channel: paramiko.Channel) -> None:
        """Connect a channel that was opened for another node."""
        port = self.forwards.pop(channel.get_id(), None)
        if port is None:
            return
        peer = socket.create_connection((ENDPOINT, port))
        for read, write, end in (
            (functools.partial(channel.recv, 65536), peer.sendall, peer.close),
            (functools.partial(peer.recv, 65536), channel.sendall, channel.close),
        ):
            threading.Thread(target=_relay, args=(read, write, end), daemon=True).start()

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._execute, args=(channel, command.decode()), daemon=True).start()
        return True

    def check_channel_pty_request(self, channel: paramiko.Channel, *_: object) -> bool:
        self.terminals.add(channel.get_id())
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        # Not a real terminal: the shell says whether it was asked for one.
        command = f"env TERMINAL={'yes' if channel.get_id() in self.terminals else 'no'} sh -s"
        threading.Thread(target=self._execute, args=(channel, command), daemon=True).start()
        return True

    def _execute(self, channel: paramiko.Channel, command: str) -> None:
        # Whoever runs the tests stands for root.
        command = command.removeprefix("sudo -n ")
        words = ["sh", "-c", f"exec {command}" if command.endswith("sh -s") else command]
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **self.env},
            start_new_session=True,
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        pumps = [
            threading.Thread(target=_pump, args=pair, daemon=True)
            for pair in (
                (functools.partial(os.read, process.stdout.fileno(), 65536), channel.sendall),
                (functools.partial(os.read, process.stderr.fileno(), 65536), channel.sendall_stderr),
            )
        ]
        for pump in pumps:
            pump.start()
        # A client at a terminal ends its stream only after it has the exit status.
        threading.Thread(target=_feed, args=(channel, process.stdin), daemon=True).start()
        open_streams = True
        while process.poll() is None:
            if channel.closed:
                os.killpg(process.pid, signal.SIGKILL)
            if open_streams and not any(pump.is_alive() for pump in pumps):
                open_streams = False
                channel.shutdown_write()
            time.sleep(0.01)
        for pump in pumps:
            pump.join()
        process.stdout.close()
        process.stderr.close()
        with suppress(OSError):
            if process.returncode >= 0:
                channel.send_exit_status(process.returncode)
            channel.close()


def _pump(read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    with suppress(OSError):
        while data := read():
            write(data)


def _feed(channel: paramiko.Channel, stdin: IO[bytes]) -> None:
    _pump(functools.partial(channel.recv, 65536), stdin.write)
    with suppress(OSError):
        stdin.close()


def _relay(read: Callable[[], bytes], write: Callable[[bytes], object], end: Callable[[], object]) -> None:
    _pump(read, write)
    with suppress(OSError, paramiko.SSHException, EOFError):
        end()


class Files(paramiko.SFTPServerInterface):
    """This machine's own files: what `put` and `get` ask for."""

    def open(self, path: str, flags: int, _attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        try:
            # OpenSSH's mode for a client that asks for none.
            file = os.fdopen(
                os.open(path, flags, 0o666), "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "r+b"
            )
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = handle.writefile = file  # type: ignore[attr-defined]
        return handle

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(Path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        paramiko.SFTPServer.set_file_attr(path, attr)
        return SFTP_OK

    def remove(self, path: str) -> int:
        Path(path).unlink(missing_ok=True)
        return SFTP_OK

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        try:
            Path(path).mkdir(0o777 if attr.st_mode is None else attr.st_mode)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return SFTP_OK

    def rmdir(self, path: str) -> int:
        try:
            Path(path).rmdir()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return SFTP_OK


class Server:
    """An SSH server on this machine."""

    def __init__(self) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self.door = Door("ssh-ed25519 none")
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
            # A thread each: a client that falls silent in its login keeps out nobody else.
            threading.Thread(target=self._admit, args=(peer,), daemon=True).start()

    def _admit(self, peer: socket.socket) -> None:
        transport = paramiko.Transport(peer)
        transport.add_server_key(self.key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
        self._transports.append(transport)
        with suppress(paramiko.SSHException, EOFError):
            transport.start_server(server=self.door)
            while transport.is_active():
                channel = transport.accept(0.5)
                if channel is not None:
                    self.door.forward(channel)

    def close(self) -> None:
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def holds(self, cluster: ClusterDocument, private_key: str, host_key: str) -> Cluster:
        """The cluster, with its head behind this server."""
        head = Node(name=cluster.head.name, address=ENDPOINT, ssh_target=ENDPOINT, host_key=host_key)
        ssh = cluster.ssh.model_copy(update={"private_key": SecretStr(private_key), "port": self.port})
        return Cluster.of(cluster.model_copy(update={"ssh": ssh}), head=head, workers=(head,))
