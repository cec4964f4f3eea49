"""An SSH server in this process: commands run under this machine's own `sh`, files come by SFTP."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import paramiko
from pydantic import SecretStr

from bootstrap.cluster import Cluster, ClusterDocument, Node

ENDPOINT = "127.0.0.1"


class Door(paramiko.ServerInterface):
    """Admits one public key as any user; `env` is the environment of its commands."""

    def __init__(self, public: str, env: Mapping[str, str] | None = None) -> None:
        self.public, self.env = public.split()[1], dict(env or {})

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, _username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() == self.public else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, _chanid: int) -> int:
        allowed = kind == "session"
        return paramiko.OPEN_SUCCEEDED if allowed else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._execute, args=(channel, command.decode()), daemon=True).start()
        return True

    def _execute(self, channel: paramiko.Channel, command: str) -> None:
        given = b""
        while chunk := channel.recv(65536):
            given += chunk
        env = {**os.environ, **self.env}
        # Whoever runs the tests stands for root.
        command = command.removeprefix("sudo -n ")
        done = subprocess.run(["sh", "-c", command], input=given, capture_output=True, env=env, check=False)
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.close()


class Files(paramiko.SFTPServerInterface):
    """This machine's own files: what `put` and `get` ask for."""

    def open(self, path: str, flags: int, _attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        try:
            file = os.fdopen(
                os.open(path, flags, 0o600), "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "r+b"
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
        return paramiko.SFTP_OK

    def remove(self, path: str) -> int:
        Path(path).unlink(missing_ok=True)
        return paramiko.SFTP_OK


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
            transport = paramiko.Transport(peer)
            transport.add_server_key(self.key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
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
