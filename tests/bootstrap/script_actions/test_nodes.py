"""Script actions on our own nodes: real scripts in a real shell, storage in memory, no cluster."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, Node
from bootstrap.engine.script import RUN
from bootstrap.errors import ConfigError, IntegrityError, StackError, Unreachable
from bootstrap.script_actions import ScriptAction, nodes, report, sealed
from bootstrap.script_actions.executions import SHOWN
from bootstrap.script_actions.failure import ScriptActionFailed
from bootstrap.signing import SigningKey
from bootstrap.ssh import reconnect
from tests.bootstrap.local_node import HDFS, LocalNode


class Memory:
    """Blob storage; the same container for everybody."""

    uri = "wasb://data@account1.blob.core.windows.net"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def read_each(self, paths: list[str]) -> list[bytes | None]:
        return [self.read(path) for path in paths]

    def write(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def update(self, path: str, change: Callable[[bytes | None], bytes | None]) -> None:
        data = change(self.files.get(path))
        if data is not None:
            self.files[path] = data

    def list(self, prefix: str = "") -> list[str]:
        return sorted(path for path in self.files if path.startswith(prefix))

    def upload(self, action: ScriptAction) -> str:
        self.write(action.path, action.script.encode())
        return f"{self.uri}/{action.path}"


class World:
    """Three nodes, each a shell of its own, that fetch scripts from the same storage."""

    def __init__(self, tmp_path: Path, cluster: Cluster, storage: Memory) -> None:
        self.cluster, self.storage, self.out = cluster, storage, io.StringIO()
        self.down: set[str] = set()
        self.nodes: dict[str, LocalNode] = {}
        for node in cluster.nodes:
            (tmp_path / node.name).mkdir()
            made = LocalNode(tmp_path / node.name)
            made.node = node
            made.fake("hdfs", HDFS)
            made.fake("sudo", 'exec "$@"')
            self.nodes[node.name] = made

    def run(self, name: str, text: str, **rest: Any) -> Any:
        limit = rest.pop("limit", 60.0)
        action = ScriptAction(name, f"#!/bin/sh\n{text}\n", **rest)
        uri = self.storage.upload(action)
        for node in self.nodes.values():
            place = node.folder / "state" / "dfs" / action.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(action.script)
        console = Console(file=self.out, width=200)
        return nodes.run(self.cluster, action, uri, console, limit=limit)


@pytest.fixture
def world(tmp_path: Path, yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> World:
    storage = Memory()
    made = World(tmp_path, yarn_cluster, storage)

    class Blobs:
        @staticmethod
        def of(_: Cluster) -> Memory:
            return storage

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
        if node.name in made.down:
            raise Unreachable(node.name, "SSH does not answer", "Run `pulumi up`.")
        # One folder for what is the same path on each node.
        nodes_folder = tmp_path / node.name / "actions"
        yield _At(made.nodes[node.name], str(nodes_folder))  # type: ignore[misc]

    for module in (nodes, sealed):
        monkeypatch.setattr(module, "Blobs", Blobs)
    for module in (nodes, reconnect):
        monkeypatch.setattr(module, "connect", connect)
    return made


class _At:
    """A node whose folder of script actions lies below its own."""

    def __init__(self, node: LocalNode, folder: str) -> None:
        self._node, self._folder, self.node = node, folder, node.node

    def _moved(self, text: str) -> str:
        return text.replace(nodes.ON_NODE, self._folder).replace(RUN, f"{self._folder}/run")

    def run(self, script: str, **rest: Any) -> Any:
        return self._node.run(self._moved(script), **rest)

    def put(self, data: bytes | Path, path: str, *, mode: int = 0o644) -> None:
        if isinstance(data, bytes):
            data = self._moved(data.decode()).encode()
        self._node.put(data, self._moved(path), mode=mode)
        # The unit's script names the stand-in of `hdfs`, too.
        text = (
            Path(self._moved(path)).read_text().replace("/opt/hadoop/bin/hdfs", str(self._node.bin / "hdfs"))
        )
        Path(self._moved(path)).write_text(text)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def logs(tmp_path: Path, name: str) -> list[Path]:
    return list((tmp_path / "head" / "actions").glob(f"{name}-*/log"))


def test_each_node_of_the_roles_runs_it_once(world: World, tmp_path: Path) -> None:
    done = world.run("touch", f'echo "$1" >>{tmp_path}/ran', parameters="word")
    assert [(host.host, host.exit_code) for host in done.hosts] == [("head", 0), ("w1", 0), ("w2", 0)]
    assert (tmp_path / "ran").read_text() == "word\n" * 3
    world.run("touch", f'echo "$1" >>{tmp_path}/ran', parameters="word")
    assert (tmp_path / "ran").read_text() == "word\n" * 3
    assert "in place on 3 nodes" in world.out.getvalue()


def test_other_parameters_are_another_run(world: World, tmp_path: Path) -> None:
    world.run("touch", f'echo "$1" >>{tmp_path}/ran', parameters="a", roles=("headnode",))
    world.run("touch", f'echo "$1" >>{tmp_path}/ran', parameters="b", roles=("headnode",))
    assert (tmp_path / "ran").read_text() == "a\nb\n"


def test_what_was_removed_from_a_node_since_is_brought_again(world: World, tmp_path: Path) -> None:
    probe = f"[ -e {tmp_path}/left ]"
    world.run("leaves", f"touch {tmp_path}/left", roles=("headnode",), probe=probe)
    (tmp_path / "left").unlink()
    world.run("leaves", f"touch {tmp_path}/left", roles=("headnode",), probe=probe)
    assert (tmp_path / "left").exists()


def test_a_failure_names_the_node_and_the_end_of_its_words(world: World) -> None:
    with pytest.raises(ScriptActionFailed) as failed:
        world.run("fails", "echo first; echo the reason >&2; exit 3", roles=("workernode",))
    text = str(failed.value)
    assert "succeeded on 0 of 2 hosts" in text
    assert "w1: status 3: first | the reason" in text
    assert nodes.persisted(world.cluster) == []


def test_a_node_that_does_not_answer_is_told_and_the_others_finish(world: World) -> None:
    world.down = {"w2"}
    with pytest.raises(ScriptActionFailed, match=r"2 of 3 hosts; w2: it was lost, or never answered: SSH"):
        world.run("works", "true")
    record = nodes.history(world.cluster)[0]
    assert (record.status, dict(record.counts)) == ("Failed", {"COMPLETED": 2, "FAILED": 1})


def test_a_script_is_ended_at_its_limit(world: World) -> None:
    with pytest.raises(ScriptActionFailed, match=r"status 124: .*ran past the limit"):
        world.run("endless", "exec sleep 60", roles=("headnode",), limit=0.3)


def test_a_script_whose_bytes_are_others_is_not_run(world: World, tmp_path: Path) -> None:
    action = ScriptAction("evil", f"#!/bin/sh\ntouch {tmp_path}/ran\n", roles=("headnode",))
    uri = world.storage.upload(action)
    place = world.nodes["head"].folder / "state" / "dfs" / action.path
    place.parent.mkdir(parents=True)
    place.write_text(action.script + "touch /nowhere\n")
    with pytest.raises(ScriptActionFailed, match="script: FAILED"):
        nodes.run(world.cluster, action, uri, Console(file=world.out))
    assert not (tmp_path / "ran").exists()


def test_a_fetch_that_hangs_is_ended_at_the_same_limit(world: World) -> None:
    world.nodes["head"].fake("hdfs", "exec sleep 60")
    with pytest.raises(ScriptActionFailed, match=r"status 124: .*ran past the limit"):
        world.run("unfetched", "true", roles=("headnode",), limit=0.3)


def test_it_waits_for_a_step_of_a_role_that_runs_on_the_node(world: World, tmp_path: Path) -> None:
    lock = tmp_path / "head" / "actions" / "run" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(
            target=world.run, args=("waits", f"touch {tmp_path}/ran"), kwargs={"roles": ("headnode",)}
        )
        thread.start()
        until(lambda: any("another run is busy" in log.read_text() for log in logs(tmp_path, "waits")))
        assert not (tmp_path / "ran").exists()
    thread.join()
    assert (tmp_path / "ran").exists()


def test_a_node_that_stays_busy_is_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "LOCK_WAIT", 0)
    lock = tmp_path / "head" / "actions" / "run" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ScriptActionFailed, match=r"head: status 75: another run is busy.*still busy"):
            world.run("waits", "true", roles=("headnode",))


def test_what_the_script_leaves_running_does_not_keep_the_node_busy(world: World, tmp_path: Path) -> None:
    world.run("leaves", f"sleep 60 >/dev/null 2>&1 & echo $! >{tmp_path}/pid", roles=("headnode",))
    try:
        with (tmp_path / "head" / "actions" / "run" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_second_caller_waits_for_the_script_that_runs_and_starts_none(world: World, tmp_path: Path) -> None:
    text = f"echo ran >>{tmp_path}/ran; while [ ! -e {tmp_path}/gate ]; do sleep 0.02; done"
    outcomes: list[Any] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(world.run("shared", text, roles=("headnode",))))
        for _ in range(2)
    ]
    threads[0].start()
    until((tmp_path / "ran").exists)
    threads[1].start()
    until(lambda: world.out.getvalue().count("runs on head") == 2)
    time.sleep(1)  # the second one finds the unit
    (tmp_path / "gate").touch()
    for thread in threads:
        thread.join()
    assert [outcome.ok for outcome in outcomes] == [True, True]
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_ctrl_c_leaves_at_once_and_the_same_command_waits_for_the_end(world: World, tmp_path: Path) -> None:
    text = f"echo ran >>{tmp_path}/ran; while [ ! -e {tmp_path}/gate ]; do sleep 0.02; done"

    def interrupt() -> None:
        until((tmp_path / "ran").exists)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        world.run("long", text, roles=("headnode",))
    assert "goes on on the nodes; the same command waits for its end" in world.out.getvalue()
    (tmp_path / "gate").touch()
    assert world.run("long", text, roles=("headnode",)).ok


def test_only_what_persists_and_succeeded_is_for_later_nodes(world: World, tmp_path: Path) -> None:
    world.run("stays", f"echo stays >>{tmp_path}/ran")
    world.run("once", f"echo once >>{tmp_path}/ran", persist=False)
    assert [one.name for one in nodes.persisted(world.cluster)] == ["stays"]
    world.run("stays", f"echo another >>{tmp_path}/ran")
    assert len(nodes.persisted(world.cluster)) == 1
    (tmp_path / "ran").unlink()
    (tmp_path / "w2" / "actions" / "stays.uri").unlink()
    nodes.catch_up(world.cluster, Console(file=world.out))
    assert (tmp_path / "ran").read_text() == "another\n"


def test_a_persisted_script_that_is_gone_is_told(world: World) -> None:
    world.run("stays", "true")
    for path in world.storage.list("script-actions/stays"):
        del world.storage.files[path]
    with pytest.raises(StackError, match="script of the persisted action 'stays' is gone"):
        nodes.catch_up(world.cluster, Console(file=world.out))


def test_a_persisted_script_that_somebody_changed_in_storage_runs_nowhere(
    world: World, tmp_path: Path
) -> None:
    world.run("stays", "true")
    (path,) = world.storage.list("script-actions/stays")
    world.storage.files[path] = f"#!/bin/sh\ntouch {tmp_path}/evil\n".encode()
    with pytest.raises(IntegrityError, match=r"the list of persisted actions says .*fab build-headnode"):
        nodes.catch_up(world.cluster, Console(file=world.out))
    assert not (tmp_path / "evil").exists()


def test_no_shell_reads_parameters_as_anything_but_words(world: World, tmp_path: Path) -> None:
    parameters = f"one 'two three' $(touch {tmp_path}/evil) ; `id` >{tmp_path}/evil"
    world.run("words", f"printf '%s\\n' \"$@\" >>{tmp_path}/ran", parameters=parameters, roles=("headnode",))
    words = ["one", "two three", "$(touch", f"{tmp_path}/evil)", ";", "`id`", f">{tmp_path}/evil"]
    assert (tmp_path / "ran").read_text().splitlines() == words
    assert not (tmp_path / "evil").exists()


def test_a_list_of_persisted_actions_that_somebody_wrote_runs_nothing_and_is_replaced(
    world: World, tmp_path: Path
) -> None:
    evil = ScriptAction("evil", f"#!/bin/sh\ntouch {tmp_path}/evil\n")
    entry = {"name": "evil", "uri": world.storage.upload(evil), "roles": ["headnode"], "parameters": ""}
    plain = json.dumps([{**entry, "sha256": evil.sha256}])
    foreign = SigningKey.generate().seal("script-actions", plain.encode())
    assert world.cluster.signing is not None
    other_purpose = world.cluster.signing.seal("framework", plain.encode())
    for document in (plain.encode(), foreign, other_purpose):
        world.storage.files[sealed.PERSISTED] = document
        with pytest.raises(IntegrityError, match=r"persisted.json: .*fab build-headnode --stack dev"):
            nodes.catch_up(world.cluster, Console(file=world.out))
        world.run("once", "true", persist=False)
        assert nodes.persisted(world.cluster) == []
    assert not (tmp_path / "evil").exists()


def test_a_record_of_other_text_is_left_out(world: World) -> None:
    world.run("stays", "true")
    others = ("", "no JSON", "[]", "{}", '{"hosts": 1}', '{"hosts": [1]}', "[" * 100_000)
    for number, text in enumerate(others):
        world.storage.files[f"{nodes.HISTORY}/20260101T00000{number}-abcd.json"] = text.encode()
    assert [record.name for record in nodes.history(world.cluster)] == ["stays"]


def test_a_record_that_somebody_removes_meanwhile_is_left_out(world: World) -> None:
    world.run("stays", "true")
    gone = f"{nodes.HISTORY}/20260101T000000-abcd.json"
    world.storage.files[gone] = b""
    world.storage.read = lambda path: None if path == gone else world.storage.files.get(path)  # type: ignore[method-assign]
    assert [record.name for record in nodes.history(world.cluster)] == ["stays"]


def test_of_many_records_the_newest_alone_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("stays", "true")
    files = world.storage.files
    (newest,) = world.storage.list(nodes.HISTORY)
    for day in range(SHOWN + 5):
        files[f"{nodes.HISTORY}/202001{day + 1:02}T000000-abcd.json"] = files[newest]
    asked: list[str] = []
    read = world.storage.read

    def reading(path: str) -> bytes | None:
        asked.append(path)
        return read(path)

    monkeypatch.setattr(world.storage, "read", reading)
    assert len(nodes.history(world.cluster)) == SHOWN
    assert len(asked) == SHOWN
    assert newest in asked


def test_roles_that_the_stack_has_no_nodes_of_are_refused(world: World) -> None:
    with pytest.raises(StackError, match="zookeepernode: stack 'dev' has no such nodes"):
        world.run("zoo", "true", roles=("zookeepernode",))


def test_the_report_lists_runs_and_what_persists(world: World) -> None:
    world.run("stays", "true")
    with pytest.raises(ScriptActionFailed):
        world.run("fails", "exit 1")
    out = io.StringIO()
    Console(file=out, width=250).print(
        report.table(nodes.history(world.cluster), nodes.persisted(world.cluster))
    )
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines[1:]] in (["fails", "stays"], ["stays", "fails"])
    assert any("Succeeded  3 completed  yes" in line for line in lines)
    assert any("Failed     3 failed" in line for line in lines)


def test_a_cluster_without_script_actions_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="not by script actions"):
        report.report(cluster)
