"""Hadoop's shell in a JVM that stays; stand-ins for Java and for Py4J's connection to it.

The real ones are used by the snapshots of tests/end_to_end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.files import storage
from jobs.trainer.files.shell import Shell

GATEWAY = """#!/bin/sh
echo "$$ $*" >>{folder}/starts
echo "$HADOOP_CLASSPATH" >{folder}/classpath
[ ! -e {folder}/broken ] || {{ echo "a warning"; echo "no memory" >&2; exit 1; }}
echo 4711
echo secret
exec cat >/dev/null
"""


class Py4JError(Exception):
    """As `py4j.protocol`'s."""


class World:
    """A node with a stand-in for Java; commands run here, with an answer that may be set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[list[str]] = []
        self.answer: Any = (0, "")
        self.out = ""
        self.parameters: dict[str, Any] = {}

    @property
    def starts(self) -> list[int]:
        """Processes that were started."""
        return [int(line.split()[0]) for line in (self.folder / "starts").read_text().splitlines()]

    def gateway(self, *, gateway_parameters: dict[str, Any]) -> Any:
        self.parameters = gateway_parameters
        output = SimpleNamespace(reset=lambda: None, toString=lambda: self.out)
        system = SimpleNamespace(setOut=lambda _: None, setErr=lambda _: None)
        java = SimpleNamespace(
            lang=SimpleNamespace(String=str, System=system),
            io=SimpleNamespace(ByteArrayOutputStream=lambda: output, PrintStream=lambda *_: None),
        )
        hadoop = SimpleNamespace(
            fs=SimpleNamespace(FsShell=lambda _: "shell"),
            conf=SimpleNamespace(Configuration=lambda: "conf"),
            util=SimpleNamespace(ToolRunner=SimpleNamespace(run=self._run)),
        )
        jvm = SimpleNamespace(java=java, org=SimpleNamespace(apache=SimpleNamespace(hadoop=hadoop)))
        return SimpleNamespace(jvm=jvm, new_array=lambda _, size: [""] * size, close=lambda: None)

    def _run(self, _: str, words: list[str]) -> int:
        self.commands.append(list(words))
        if isinstance(self.answer, Exception):
            raise self.answer
        code, self.out = self.answer
        return int(code)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    (tmp_path / "hdfs").write_text(GATEWAY.format(folder=tmp_path))
    (tmp_path / "hdfs").chmod(0o755)
    (tmp_path / "spark" / "jars").mkdir(parents=True)
    (tmp_path / "spark" / "jars" / "py4j-0.10.9.9.jar").touch()
    monkeypatch.setattr(storage, "HDFS", str(tmp_path / "hdfs"))
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    monkeypatch.delenv("HADOOP_CLASSPATH", raising=False)
    gateway = SimpleNamespace(JavaGateway=made.gateway, GatewayParameters=dict)
    monkeypatch.setitem(sys.modules, "py4j", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "py4j.java_gateway", gateway)
    monkeypatch.setitem(sys.modules, "py4j.protocol", SimpleNamespace(Py4JError=Py4JError))
    return made


@pytest.fixture
def opened(world: World) -> Iterator[Shell]:
    made = Shell()
    yield made
    made.close()


def ended(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


def test_all_commands_run_in_one_process_of_the_nodes_own_hdfs(world: World, opened: Shell) -> None:
    for name in ("a", "b"):
        assert opened.run(["-put", "-f", name, f"hdfs://head/{name}"]) == (0, [])

    assert world.commands == [["-put", "-f", name, f"hdfs://head/{name}"] for name in ("a", "b")]
    assert len(world.starts) == 1
    assert (world.folder / "classpath").read_text().strip() == f"{world.folder}/spark/jars/py4j-0.10.9.9.jar"
    assert (world.parameters["port"], world.parameters["auth_token"]) == (4711, "secret")


def test_what_is_on_hadoops_class_path_stays_there(
    world: World, opened: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HADOOP_CLASSPATH", "/own.jar")
    opened.run(["-ls", "/"])
    assert (world.folder / "classpath").read_text().startswith("/own.jar:")


def test_status_and_output_are_those_of_the_command(world: World, opened: Shell, tmp_path: Path) -> None:
    world.answer = (-1, "2026-01-01 WARN slow\nput: no DataNode\n")

    with pytest.raises(TrainerError, match="hdfs://head/m: it cannot be written: put: no DataNode"):
        storage.put(tmp_path / "m", "hdfs://head/m", run=opened.run)

    assert len(world.starts) == 1


def test_java_ends_with_the_shell(world: World, opened: Shell) -> None:
    opened.run(["-ls", "/"])
    opened.close()
    assert ended(world.starts[0])


def test_java_ends_with_the_process_that_started_it(world: World, tmp_path: Path) -> None:
    code = (
        "import os, pathlib\nfrom jobs.trainer.files import shell, storage\n"
        f"storage.HDFS = {str(tmp_path / 'hdfs')!r}\nshell._Jvm._connect = lambda *_: None\n"
        "jvm = shell._Jvm(pathlib.Path('x.jar'))\nos._exit(0)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )

    process = world.starts[0]
    subprocess.run(["timeout", "20", "tail", f"--pid={process}", "-f", "/dev/null"], check=True)
    assert ended(process)


def test_one_that_was_killed_is_started_again(world: World, opened: Shell) -> None:
    opened.run(["-ls", "/"])
    assert opened._jvm is not None
    opened._jvm._process.kill()
    opened._jvm._process.wait()

    assert opened.run(["-ls", "/"]) == (0, [])
    assert len(world.starts) == 2


def test_one_that_does_not_answer_is_told_and_started_again(
    world: World, opened: Shell, tmp_path: Path
) -> None:
    world.answer = Py4JError("Answer from Java side is empty")
    with pytest.raises(TrainerError, match=r"`.*hdfs dfs -put` failed: Answer from Java side is empty"):
        storage.put(tmp_path / "m", "hdfs://head/m", run=opened.run)

    world.answer = (0, "")
    opened.run(["-ls", "/"])

    first, second = world.starts
    assert ended(first)
    assert not ended(second)


def test_a_command_past_its_limit_is_told_as_ever(
    world: World, opened: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "TIMEOUT", 1e-9)
    monkeypatch.setattr(threading, "Timer", lambda *_: SimpleNamespace(start=int, cancel=int))
    world.answer = Py4JError("Error while receiving")

    with pytest.raises(subprocess.TimeoutExpired, match="timed out after"):
        opened.run(["-ls", "/"])


def test_where_java_does_not_stay_each_command_is_a_process_and_the_log_says_why(
    world: World, opened: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.folder / "broken").touch()
    for _ in range(2):
        assert opened.run(["-ls", "/"]) == (1, ["a warning", "no memory"])

    words = [line.split()[1] for line in (world.folder / "starts").read_text().splitlines()]
    assert words == ["py4j.GatewayServer", "dfs", "dfs"]
    assert capsys.readouterr().out == "Java does not stay: no memory; each upload starts it\n"


def test_without_py4j_each_command_is_a_process(world: World) -> None:
    (world.folder / "spark" / "jars" / "py4j-0.10.9.9.jar").unlink()
    Shell().run(["-ls", "/"])
    assert (world.folder / "starts").read_text().endswith(" dfs -ls /\n")
