"""`fab convert` on a head that is this machine: a unit with its log, followed to its end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.console import TerminalConsole
from bootstrap.errors import ConfigError, JobError
from bootstrap.storage.hadoop import SharedStorage
from jobs.backends import nodes
from jobs.run import convert
from tests.bootstrap.local_node import LocalNode

ARGV = ["LMDB2Sequence", "-imageRoot", "/data/a b", "-output", "/data/c"]


@pytest.fixture
def run(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Run the tool with a spark-submit that is a shell script; return what is printed."""
    (tmp_path / "node").mkdir()
    node = LocalNode(tmp_path / "node")
    link = SimpleNamespace(remote=node, close=lambda: None, reconnect=lambda: node)
    monkeypatch.setattr(convert, "Link", lambda _: link)
    monkeypatch.setattr(convert, "FOLDERS", str(tmp_path / "convert"))
    monkeypatch.setattr(paths, "SPARK_HOME", str(tmp_path / "spark"))
    (tmp_path / "caffe" / "python").mkdir(parents=True)
    monkeypatch.setattr(nodes, "_FRAMEWORK", f"cd {tmp_path}/caffe/python && pwd")
    monkeypatch.setattr(SharedStorage, "require_writable", lambda self: None)
    submit = tmp_path / "spark" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)

    @contextmanager
    def connect(_: Cluster, there: Node) -> Iterator[LocalNode]:
        yield node

    monkeypatch.setattr(nodes, "connect", connect)

    def run(script: str) -> str:
        submit.write_text(f"#!/bin/sh\n{script}\n")
        submit.chmod(0o755)
        out = io.StringIO()
        convert.convert(cluster, ARGV, TerminalConsole(file=out, width=200), executors=3)
        return out.getvalue()

    return run


def test_progress_of_the_tool_is_printed_and_nothing_of_sparks(
    run: Callable[[str], str], tmp_path: Path
) -> None:
    said = run(f'echo "WARN x"; echo "convert  7 records"; for w; do echo "$w"; done >{tmp_path}/words')

    assert "convert  7 records" in said
    assert "WARN" not in said
    words = (tmp_path / "words").read_text().splitlines()
    assert words[-5:] == ARGV
    assert words[words.index("--master") + 1] == "spark://head:7077"
    assert "spark.cores.max=3" in words
    (folder,) = (tmp_path / "convert").iterdir()
    names = zipfile.ZipFile(folder / "work" / words[words.index("--py-files") + 1]).namelist()
    assert "jobs/converters/main.py" in names


def test_a_cluster_without_caffe_is_refused_before_a_tool_starts(
    run: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "caffe" / "python").rmdir()

    with pytest.raises(JobError, match=r"Caffe is not installed there.*`fab build-headnode --stack "):
        run("exit 0")

    assert not (tmp_path / "convert").exists()


def test_folders_of_tools_that_ended_a_day_ago_go(run: Callable[[str], str], tmp_path: Path) -> None:
    folders = tmp_path / "convert"
    running = subprocess.Popen(["sleep", "60"])
    (tmp_path / "node" / "state" / f"{convert.UNIT}running").write_text(str(running.pid))
    for name in ("ended", "running", "recent"):
        (folders / name).mkdir(parents=True)
        if name != "recent":
            os.utime(folders / name, (0, 0))
    try:
        run("exit 0")
    finally:
        running.kill()
        running.wait()

    left = {folder.name for folder in folders.iterdir()}
    assert {"running", "recent"} < left
    assert "ended" not in left


def test_the_program_ends_at_sigterm_with_its_temporary_files(tmp_path: Path) -> None:
    code = (
        "import tempfile, time; import jobs.converters.main as program\n"
        "def main(argv):\n"
        f"    with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}):\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "program.main = main\n" + convert.PROGRAM_TEXT
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.terminate()

    assert program.wait(timeout=30) == 143
    assert list(tmp_path.iterdir()) == []


def test_a_tool_that_fails_is_told_in_its_own_words(run: Callable[[str], str]) -> None:
    with pytest.raises(JobError, match=r"x: there is no LMDB.*The full log is .*/log on head\.$"):
        run('echo "ERROR y"; echo "caffe-spark: x: there is no LMDB. Give another." >&2; exit 2')


def test_a_program_that_says_nothing_is_told_with_its_status(run: Callable[[str], str]) -> None:
    with pytest.raises(JobError, match="its program ended with status 3"):
        run("exit 3")


def test_flags_are_named_as_they_are_typed() -> None:
    flags = {"imageRoot": "i", "captionFile": "c", "output": "o", "vocabDir": "v", "labelFile": None}

    with pytest.raises(ConfigError) as refused:
        convert.arguments("CocoDataSetConverter", flags)

    assert "fab convert CocoDataSetConverter: it needs --embedding-df-dir." in str(refused.value)
    assert "--image-caption-df-dir" in str(refused.value)
    assert convert.arguments("LMDB2Sequence", {"imageRoot": "/a", "output": "/b", "lmdb_partitions": 2}) == [
        *["LMDB2Sequence", "-imageRoot", "/a", "-output", "/b", "-lmdb_partitions", "2"]
    ]
