"""OpenSSH's own client with a stack's keys, where a terminal or a port is handed through.

Its argv holds a folder and a node's name. The stack's private key goes by a pipe to an agent that runs for
this client alone, so it never lies on a disk: `ssh-agent COMMAND` ends with its command, also when that, or
`fab`, is killed. A key in a file would stay.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import ConfigError
from bootstrap.ssh import limits

FAILED = 255
"""Exit status of `ssh` for its own failures; otherwise it is the remote command's."""
_LOAD = 'ssh-add -q - </dev/fd/{key} || exit {failed}; exec "$@"'
_GLOBAL = {
    "BatchMode": "yes",
    "PreferredAuthentications": "publickey",
    "StrictHostKeyChecking": "yes",
    "GlobalKnownHostsFile": "/dev/null",
    "UpdateHostKeys": "no",
    # Root of a node could use an agent that reaches it, and draw on this machine's screen.
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ControlMaster": "no",
    "ServerAliveInterval": f"{limits.KEEPALIVE:.0f}",
    "ServerAliveCountMax": f"{limits.SILENCE / limits.KEEPALIVE:.0f}",
}


@contextmanager
def client(
    cluster: Cluster,
    node: Node,
    options: Sequence[str] = (),
    command: Sequence[str] = (),
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    own_session: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `ssh OPTIONS NODE COMMAND` as the operator's login; it is ended with the block.

    `stdin` and `stdout` are as for `subprocess.Popen`. With `own_session` Ctrl-C does not reach the client.

    Raises:
        ConfigError: this machine has no OpenSSH client.
    """
    with tempfile.TemporaryDirectory(prefix="caffe-spark-ssh-") as folder:
        configuration = Path(folder) / "config"
        configuration.write_text(ssh_config(cluster, Path(folder) / "known_hosts"))
        (Path(folder) / "known_hosts").write_text(known_hosts(cluster))
        words = ["ssh", "-F", str(configuration), *options, node.name, *command]

        def start(words: Sequence[str], pipes: Sequence[int] = ()) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                words, stdin=stdin, stdout=stdout, pass_fds=pipes, start_new_session=own_session
            )

        process = _started(cluster, words, start)
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(limits.PAUSE)
            process.kill()
            process.wait()


def _started(
    cluster: Cluster, words: Sequence[str], start: Callable[..., subprocess.Popen[bytes]]
) -> subprocess.Popen[bytes]:
    try:
        if cluster.ssh.private_key is None:
            return start(words)
        text = cluster.ssh.private_key.get_secret_value()
        read, write = os.pipe()
        try:
            load = _LOAD.format(key=read, failed=FAILED)
            process = start(["ssh-agent", "sh", "-c", load, "sh", *words], [read])
        except OSError:
            os.close(write)
            raise
        finally:
            os.close(read)
    except FileNotFoundError as error:
        raise ConfigError(
            f"`{error.filename}`", "it is not on PATH, and belongs to OpenSSH's client", "Run `make setup`."
        ) from error
    # A thread: a key longer than the pipe's buffer would block here until the program reads.
    threading.Thread(target=_send, args=(write, f"{text.strip()}\n".encode()), daemon=True).start()
    return process


def _send(pipe: int, data: bytes) -> None:
    # The program may end before it has read the key.
    with suppress(BrokenPipeError), open(pipe, "wb") as file:
        file.write(data)


def ssh_config(cluster: Cluster, known: Path) -> str:
    """Return the client's configuration: every node by its name, the same ways and keys as `login`. Pure."""
    access = cluster.ssh
    settings = dict(_GLOBAL, UserKnownHostsFile=_quoted(known), User=access.user, Port=str(access.port))
    patience = limits.PROXY if access.proxy_command else limits.CONNECT
    settings["ConnectTimeout"] = f"{patience:.0f}"
    if access.private_key_file is None:
        settings |= {"IdentityFile": "none", "IdentityAgent": "SSH_AUTH_SOCK"}
    else:
        key = Path(access.private_key_file).expanduser()
        settings |= {"IdentityFile": _quoted(key), "IdentityAgent": "none", "IdentitiesOnly": "yes"}
    blocks = []
    for node in cluster.nodes:
        # Keys are recorded by node, whatever its address is today.
        of_node = {"HostName": node.ssh_target or node.address, "HostKeyAlias": node.name}
        if node.name == cluster.head.name:
            if access.proxy_command:
                of_node["ProxyCommand"] = access.proxy_command
        elif access.jump:
            of_node["ProxyJump"] = cluster.head.name
        blocks.append((node.name, of_node))
    return "\n".join(
        f"Host {name}\n" + "".join(f"  {key} {value}\n" for key, value in values.items())
        for name, values in [*blocks, ("*", settings)]
    )


def known_hosts(cluster: Cluster) -> str:
    """Return the recorded host keys by node name. Pure."""
    return "".join(f"{node.name} {node.host_key}\n" for node in cluster.nodes)


def _quoted(path: Path) -> str:
    """Return a path as the client reads it: `%` begins one of its tokens."""
    return '"{}"'.format(str(path).replace("%", "%%"))
