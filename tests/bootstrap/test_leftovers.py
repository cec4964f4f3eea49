"""Leftovers of all nodes, by the program that each of them runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bootstrap import leftovers, paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import Unreachable
from bootstrap.leftovers import Leftover, Silent
from tests.bootstrap.local_node import LocalNode

SAID = '{"path": "/tmp/spark-1", "bytes": 4096, "what": "files"}'


@pytest.fixture
def answering(tmp_path: Path) -> Callable[..., Any]:
    """Return a `connect` to nodes whose program says this, by node; those without an answer are down."""

    def made(**answers: str) -> Any:
        @contextmanager
        def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
            if node.name not in answers:
                raise Unreachable(node.name, "SSH does not answer", "Run `pulumi up`.")
            (tmp_path / node.name).mkdir()
            local = LocalNode(tmp_path / node.name)
            local.fake("python3", answers[node.name])
            yield local

        return connect

    return made


def test_each_node_tells_its_own(cluster: Cluster, answering: Any) -> None:
    failed = '{"path": "/tmp/spark-2", "bytes": 1, "what": "files", "error": "busy"}'
    connect = answering(head=f"echo '{SAID}'; echo '{failed}'", w1="true", w2=f"echo '{SAID}'")

    found, silent = leftovers.on_nodes(cluster, removing=False, connect=connect)

    assert found == [
        Leftover("head", "/tmp/spark-1", 4096, "files"),
        Leftover("head", "/tmp/spark-2", 1, "files", "busy"),
        Leftover("w2", "/tmp/spark-1", 4096, "files"),
    ]
    assert silent == []


def test_a_node_that_does_not_answer_or_understand_is_told(cluster: Cluster, answering: Any) -> None:
    connect = answering(head="echo no python >&2; exit 3", w1="echo nonsense")

    found, silent = leftovers.on_nodes(cluster, removing=False, connect=connect)

    assert found == []
    assert [one.node for one in silent] == ["head", "w1", "w2"]
    assert silent[0] == Silent("head", "no python")
    assert silent[2] == Silent("w2", "SSH does not answer")


@pytest.mark.parametrize(("removing", "mode"), [(True, "remove"), (False, "list")])
def test_files_are_removed_only_where_that_is_asked_for(
    cluster: Cluster, answering: Any, removing: bool, mode: str
) -> None:
    told = """printf '{"path": "%s", "bytes": 0, "what": ""}\\n' "$2" """
    connect = answering(**dict.fromkeys(("head", "w1", "w2"), told))

    found, _ = leftovers.on_nodes(cluster, removing=removing, connect=connect)

    assert [one.path for one in found] == [mode] * 3


def test_the_whole_program_arrives(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    node = LocalNode(tmp_path / "node")
    node.fake("python3", "cat")

    program = (Path(leftovers.__file__).parent / "join/on_node/leftovers.py").read_text()
    assert node.run(leftovers.script("list")).stdout == program


def test_before_a_node_is_provisioned_nothing_of_jobs_can_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "JOB_USER", "no-such-user")
    done = subprocess.run(
        ["sh", "-c", leftovers.script("report")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_doctors_remedy_is_the_command_that_removes_them() -> None:
    found = leftovers.check()
    assert found.fix.startswith("Run `fab clean`")
    assert "report --grace 300" in found.run
