"""The Spark context of a notebook, and what its runs have in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.api.context import Renewed, held
from jobs.submission.package import trainer_zip
from jobs.trainer.errors import Refused
from tests.jobs.api.conftest import Session, Trainer


def test_a_stopped_context_is_refused(trainer: type[Trainer]) -> None:
    session = Session()
    session.sparkContext._jsc = None
    for given in (session, session.sparkContext):
        with pytest.raises(Refused, match="it has been stopped"):
            held(given)


def test_the_package_is_shipped_to_executors_once(trainer: type[Trainer]) -> None:
    session = Session()
    held(session)
    held(session)
    (shipped,) = session.sparkContext.shipped
    code = "import sys; sys.path[:0] = [sys.argv[1]]; import jobs.trainer as trainer; print(trainer.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(shipped)], check=False, capture_output=True, text=True
    )
    assert done.stdout.startswith(str(shipped)), done.stderr


def test_a_package_that_spark_submit_has_shipped_is_not_shipped_again(
    trainer: type[Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.__file__", "/job/trainer.zip/jobs/__init__.py")
    session = Session()
    held(session)
    assert session.sparkContext.shipped == []


class Files:
    """Storage whose files have a time of their last change."""

    def __init__(self) -> None:
        self.times: dict[str, int] = {}

    def absolute(self, uri: str) -> str:
        return uri

    def stamp(self, uri: str) -> Any:
        return (uri, 1, self.times.get(uri, 0))

    def fetch(self, uri: str, target: Path) -> None:
        target.write_text(f"{uri} {self.times[uri]}")


class Nodes:
    """A context that keeps what was added."""

    def __init__(self) -> None:
        self.added: list[str] = []

    def addFile(self, path: str, recursive: bool = False) -> None:
        self.added.append(path)


def test_a_model_that_was_trained_again_is_distributed_again(tmp_path: Path) -> None:
    files, nodes = Files(), Nodes()
    held: Any = Renewed(nodes, files, tmp_path, {})  # type: ignore[arg-type]

    def run() -> str:
        held.begin()
        name = held.add("hdfs://h/m.model")
        assert held.add("hdfs://h/m.model") == name
        return str(name)

    first, again = run(), run()
    files.times["hdfs://h/m.model"] = 7
    changed = run()

    assert first == again == "m.model"
    assert changed != first
    assert (tmp_path / changed).read_text() == "hdfs://h/m.model 7"
    assert run() == changed
    assert nodes.added == ["hdfs://h/m.model", str(tmp_path / changed)]


@pytest.mark.parametrize("uri", ["file:/jobs/m.model", "hdfs://h/m.model"])
def test_a_model_is_the_one_of_the_call_when_it_is_trained_again(tmp_path: Path, uri: str) -> None:
    files, nodes = Files(), Nodes()
    held: Any = Renewed(nodes, files, tmp_path, {})  # type: ignore[arg-type]
    files.times[uri] = 1
    first, again = held.add_model(uri), held.add_model(uri, written=True)
    files.times[uri] = 2
    later = held.add_model(uri)

    assert first == again != later
    assert [(tmp_path / name).read_text() for name in (first, later)] == [f"{uri} 1", f"{uri} 2"]
    assert nodes.added == [str(tmp_path / first), str(tmp_path / later)]


def test_a_source_that_has_changed_is_fetched_again_whenever_it_has(tmp_path: Path) -> None:
    files = Files()
    held: Any = Renewed(Nodes(), files, tmp_path, {})  # type: ignore[arg-type]
    names = []
    for time in (0, 0, 1, 2):
        files.times["hdfs://h/lmdb"] = time
        held.begin()
        names.append(held.add("hdfs://h/lmdb", folder=True))
    assert names == ["lmdb", "lmdb", "again:1:hdfs://h/lmdb", "again:2:hdfs://h/lmdb"]


def test_import_lines_of_caffeonspark_work_where_the_zip_is_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "trainer.zip").write_bytes(trainer_zip())
    code = (
        "import sys; sys.path[:0] = ['trainer.zip']\n"
        "from com.yahoo.ml.caffe.CaffeOnSpark import CaffeOnSpark\n"
        "from com.yahoo.ml.caffe.Config import Config\n"
        "from com.yahoo.ml.caffe.DataSource import DataSource\n"
        "from com.yahoo.ml.caffe.DisplayUtils import *\n"
        "import jobs.api as a\n"
        "assert [CaffeOnSpark, Config, DataSource] == [a.CaffeOnSpark, a.Config, a.DataSource]\n"
        "assert [show_df, show_network] == [a.show_df, a.show_network]\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
