"""OpenSSH's client against a server in this process: a shell, one command, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from bootstrap.cluster import Cluster
from bootstrap.errors import ConfigError, Unreachable
from bootstrap.ssh import client as client_module
from bootstrap.ssh.client import client, known_hosts, ssh_config
from bootstrap.ssh.shell import shell
from infra.keys import SshKeyProvider
from tests.bootstrap.ssh_server import ENDPOINT, Door, Server
from tests.host_keys import host_key
from tests.outputs import outputs_of

Keys = dict[str, str]
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


@pytest.fixture
def keys() -> Keys:
    outs = outputs_of(SshKeyProvider(), purpose="operator")
    return {"private": str(outs["private_key"]), "public": str(outs["public_key"])}


@pytest.fixture
def there(server: Server, cluster: Cluster, keys: Keys) -> Cluster:
    """A cluster whose head is the server."""
    server.door = Door(keys["public"])
    return server.holds(cluster, keys["private"], server.host_key)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def typed() -> Iterator[Callable[[str], None]]:
    """Types into the terminal that is this process's stdin meanwhile."""
    ours, theirs = os.openpty()
    # Nobody switches a terminal to raw mode before what it shows has been read.
    threading.Thread(target=_read_all, args=(ours,), daemon=True).start()
    kept = os.dup(0)
    os.dup2(theirs, 0)
    yield lambda text: (os.write(ours, text.encode()), None)[1]
    os.dup2(kept, 0)
    for number in (theirs, kept):
        os.close(number)


def _read_all(terminal: int) -> None:
    # EIO: nobody has the other end any more.
    with suppress(OSError):
        while os.read(terminal, 4096):
            pass
    os.close(terminal)


def agent_of(process: subprocess.Popen[bytes]) -> Path:
    """The socket of the client's agent."""
    environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    (path,) = (line.partition(b"=")[2] for line in environment if line.startswith(b"SSH_AUTH_SOCK="))
    return Path(path.decode())


def test_a_command_gets_the_streams_and_its_exit_status_comes_back(
    there: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    assert shell(there, there.head, "echo out; echo err >&2; exit 7") == 7
    said = capfd.readouterr()
    assert (said.out, said.err) == ("out\n", "err\n")


def test_a_command_reads_stdin(there: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    read, write = os.pipe()
    kept = os.dup(0)
    os.dup2(read, 0)
    os.write(write, b"given\n")
    os.close(write)
    try:
        assert shell(there, there.head, "cat") == 0
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(read)
    assert capfd.readouterr().out == "given\n"


def test_a_shell_has_a_terminal(
    there: Cluster,
    server: Server,
    typed: Callable[[str], None],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", os.fdopen(os.dup(0)))

    def type_at_the_shell() -> None:
        while not server.door.terminals:
            time.sleep(0.01)
        typed("echo terminal=$TERMINAL; exit 3\n")

    threading.Thread(target=type_at_the_shell, daemon=True).start()
    assert shell(there, there.head) == 3
    assert "terminal=yes" in capfd.readouterr().out


def test_the_private_key_is_in_no_file_and_no_command_line(there: Cluster, keys: Keys, scratch: Path) -> None:
    secret = keys["private"].splitlines()[2]
    with client(
        there, there.head, ["-T"], ["--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"it runs\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"it runs\n"
        (folder,) = scratch.glob("caffe-spark-ssh-*")
        assert secret not in "".join(path.read_text() for path in folder.iterdir())
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert secret.encode() not in line.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
    assert list(scratch.glob("caffe-spark-ssh-*")) == []


def test_the_agent_ends_with_the_client_also_if_that_is_killed(there: Cluster) -> None:
    with client(
        there, there.head, ["-T"], ["--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        socket_file = agent_of(process)
        assert socket_file.exists()
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30  # an agent looks for its parent every ten seconds
    while socket_file.exists():
        assert time.monotonic() < deadline, "the agent is still there"
        time.sleep(0.2)


def test_a_node_with_another_host_key_is_given_nothing(
    there: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    head = there.head.model_copy(update={"host_key": host_key("another")})
    impostor = there.model_copy(update={"head": head, "workers": (head,)})
    with pytest.raises(Unreachable, match=r"head .*another host key"):
        shell(impostor, impostor.head, "true")
    # Nor by the client, if the node changed in between.
    with client(impostor, impostor.head, ["-T"], ["--", "echo reached"]) as process:
        assert process.wait() == client_module.FAILED
    assert "reached" not in capfd.readouterr().out


def test_a_dead_node_gives_the_usual_line(there: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((ENDPOINT, 0)) as listener:
        port = listener.getsockname()[1]
    dead = there.model_copy(update={"ssh": there.ssh.model_copy(update={"port": port})})
    with pytest.raises(Unreachable, match=r"^head \(127\.0\.0\.1\): SSH does not answer"):
        shell(dead, dead.head, "true")
    assert capfd.readouterr().err == ""


def test_workers_are_reached_through_the_head(
    there: Cluster, server: Server, keys: Keys, capfd: pytest.CaptureFixture[str]
) -> None:
    worker = Server()
    worker.door = Door(keys["public"], {"NODE": "w1"})
    server.door.routes["10.9.8.11"] = worker.port
    node = there.head.model_copy(
        update={"name": "w1", "address": "10.9.8.11", "ssh_target": "", "host_key": worker.host_key}
    )
    access = there.ssh.model_copy(update={"jump": True})
    through = there.model_copy(update={"workers": (node,), "ssh": access})
    try:
        assert shell(through, node, "echo $NODE; exit 5") == 5
    finally:
        worker.close()
    assert capfd.readouterr().out == "w1\n"


def test_the_operators_own_key_file_is_used_in_its_place(
    there: Cluster, keys: Keys, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a key of 100%"
    file.write_text(keys["private"])
    file.chmod(0o600)
    access = there.ssh.model_copy(update={"private_key": None, "private_key_file": str(file)})
    assert shell(there.model_copy(update={"ssh": access}), there.head, "echo in") == 0
    assert capfd.readouterr().out == "in\n"


def test_a_machine_without_openssh_is_told_so(there: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigError, match=r"`ssh-agent`: it is not on PATH"), client(there, there.head):
        pass


def test_the_configuration_has_the_ways_of_the_cluster(cluster: Cluster) -> None:
    access = cluster.ssh.model_copy(
        update={"jump": True, "proxy_command": "aws ssm --target %h", "private_key": SecretStr("KEY")}
    )
    text = ssh_config(cluster.model_copy(update={"ssh": access}), Path("/x/known_hosts"))
    blocks = {block.split()[1]: block for block in text.split("\n\n")}
    assert "ProxyCommand aws ssm --target %h" in blocks["head"]
    assert "ProxyJump head" in blocks["w1"]
    assert "ProxyCommand" not in blocks["w1"]
    assert "ForwardAgent no" in blocks["*"]
    assert "KEY" not in text
    assert [line.split()[0] for line in known_hosts(cluster).splitlines()] == [n.name for n in cluster.nodes]


def test_a_users_own_configuration_changes_nothing(
    there: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  HostName 192.0.2.1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shell(there, there.head, f"echo {ENDPOINT}") == 0
    assert capfd.readouterr().out == f"{ENDPOINT}\n"
