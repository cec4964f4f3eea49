from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError, Unreachable
from bootstrap.ssh import reconnect
from bootstrap.ssh.remote import Result
from jobs.backends import yarn
from jobs.backends.head import HeadBackend
from jobs.backends.node_logs import LogPlace
from jobs.backends.standalone import StandaloneBackend
from jobs.backends.yarn import YarnBackend
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.report.history import History
from jobs.trainer.contract import JOB_ENV, Application, Event, Executors
from tests.bootstrap.local_node import LocalNode
from tests.jobs.specs import mnist_spec

EXECUTORS = Executors(
    "application_1_0001",
    {
        "1": {"host": "w2", "container": "container_1_0001_01_000002"},
        "2": {"host": "w1.internal.example", "container": "container_1_0001_01_000003"},
    },
)
APPLICATION = Application(id="application_1_0001", host="w1", container="container_1_0001_01_000001")


def kept(*events: Event, folder: str = "/jobs/mnist-1") -> JobRecord:
    job = SubmittedJob(mnist_spec(), "key", JobPlace("mnist-1", folder, "wasb://c@a/jobs"))
    return JobRecord(job, 0.0, False, 0, History(events))


def test_on_yarn_each_log_is_in_its_container_on_its_node(yarn_cluster: Cluster) -> None:
    job = kept(APPLICATION, EXECUTORS)
    backend = YarnBackend(yarn_cluster)
    found = backend.log_place(job, None)
    assert found.node is not None
    assert found.node.name == "w1"
    assert found.files[0] == "/var/lib/yarn/logs/application_1_0001/container_1_0001_01_000001"
    found = backend.log_place(job, 2)
    assert found.node is not None
    assert (found.node.name, found.files[0].rpartition("/")[2]) == ("w1", "container_1_0001_01_000003")


def test_on_sparks_own_master_the_driver_is_on_the_head_and_executors_in_workers_folders(
    cluster: Cluster,
) -> None:
    job = kept(Executors("app-1", {"0": {"host": "10.9.8.12", "container": ""}}))
    backend = StandaloneBackend(cluster)
    assert backend.log_place(job, None) == LogPlace(cluster.head, ("/jobs/mnist-1/log",))
    found = backend.log_place(job, 0)
    assert found.node is not None
    assert (found.node.name, found.files) == ("w2", ("/var/lib/spark/work/app-1/0",))


def test_an_executor_that_is_not_is_refused_with_those_that_are(yarn_cluster: Cluster) -> None:
    with pytest.raises(JobError, match=r"executor 7 of job mnist-1: it has 1 on w2, 2 on w1"):
        YarnBackend(yarn_cluster).log_place(kept(APPLICATION, EXECUTORS), 7)
    with pytest.raises(JobError, match=r"none has registered.*fab logs mnist-1"):
        YarnBackend(yarn_cluster).log_place(kept(APPLICATION), 1)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalNode:
    """Every node of the cluster."""
    made = LocalNode(tmp_path)

    @contextmanager
    def connect(_cluster: Cluster, _node: Node) -> Iterator[LocalNode]:
        yield made

    monkeypatch.setattr(reconnect, "connect", connect)
    monkeypatch.setattr(HeadBackend, "head", made)
    monkeypatch.setattr(yarn, "CONTAINER_LOGS", (str(tmp_path / "none"), str(tmp_path / "logs")))
    return made


def test_a_running_containers_files_are_read_on_its_node(
    node: LocalNode, yarn_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs" / "application_1_0001" / "container_1_0001_01_000002"
    folder.mkdir(parents=True)
    (folder / "stderr").write_text("what the JVM says\n")
    (folder / "stdout").write_text("what Python says\n")
    (folder / "events.jsonl").write_text('{"event": "phase"}\n')
    record = kept(APPLICATION, EXECUTORS)
    lines = list[str]()
    YarnBackend(yarn_cluster).logs(record, lines.append, executor=1, follow=False)
    assert lines == ["what the JVM says", "what Python says"]


def test_after_the_end_yarns_own_tool_reads_them_from_shared_storage(
    node: LocalNode, yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = "Container: c\nLogType:stderr\nLogContents:\nfrom storage\nEnd of LogType:stderr\n****\n"
    tool = node.fake("yarn", f"echo \"$*\" >$FAKE_STATE/asked; printf '{printed}'")
    monkeypatch.setattr("bootstrap.paths.YARN", str(tool))
    record = kept(APPLICATION, EXECUTORS)
    lines = list[str]()
    YarnBackend(yarn_cluster).logs(record, lines.append, executor=1, follow=False)
    assert lines == ["from storage"]
    asked = (node.folder / "state" / "asked").read_text()
    assert "-applicationId application_1_0001 -appOwner spark" in asked
    assert "-containerId container_1_0001_01_000002" in asked


def test_a_log_that_is_gone_is_said_so(
    node: LocalNode, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = kept(folder="/nowhere")
    with pytest.raises(JobError, match=r"no log of its driver.*fab attach mnist-1 --stack dev"):
        StandaloneBackend(cluster).logs(record, print, executor=None, follow=False)


def test_before_yarn_has_begun_the_driver_there_is_no_log_yet(
    node: LocalNode, yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Application(id="application_1_0001", said="the queue is full")
    record = replace(kept(waits), active=True)
    with pytest.raises(JobError, match=r"not started its driver yet \(the queue is full\).*--follow"):
        YarnBackend(yarn_cluster).logs(record, print, executor=None, follow=False)


def test_who_follows_waits_for_the_driver(
    node: LocalNode, yarn_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs" / "application_1_0001" / "container_1_0001_01_000001"
    folder.mkdir(parents=True)
    (folder / "stderr").write_text("it begins\n")
    monkeypatch.setattr(YarnBackend, "record", lambda *_: kept(APPLICATION))
    monkeypatch.setattr(yarn, "BEGUN_POLL_S", 0.0)
    lines = list[str]()
    waiting = replace(kept(), active=True)
    YarnBackend(yarn_cluster).logs(waiting, lines.append, executor=None, follow=True)
    assert lines == ["it begins"]


class _Breaking:
    """A connection to `node` that breaks at its calls with these numbers, of all connections together."""

    calls = 0

    def __init__(self, node: LocalNode, breaks: set[int]) -> None:
        self._node, self._breaks, self.node = node, breaks, node.node
        self.put, self.get = node.put, node.get

    def run(self, script: str, **options: object) -> Result:
        type(self).calls += 1
        if self.calls in self._breaks:
            raise Unreachable("w2", "the SSH connection broke", "Again.")
        return self._node.run(script, **options)  # type: ignore[arg-type]


@pytest.fixture
def opened(node: LocalNode, monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """Connections that were opened to nodes; each breaks at some of its calls."""
    seen: list[Node] = []
    monkeypatch.setattr(_Breaking, "calls", 0)

    @contextmanager
    def connect(_cluster: Cluster, to: Node) -> Iterator[_Breaking]:
        seen.append(to)
        yield _Breaking(node, {1, 3, 4})

    monkeypatch.setattr(reconnect, "connect", connect)
    return seen


def test_a_followed_log_goes_on_where_it_stopped_when_the_connection_breaks(
    opened: list[Node], node: LocalNode, yarn_cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "logs" / "application_1_0001" / "container_1_0001_01_000002"
    folder.mkdir(parents=True)
    log, other = folder / "stderr", folder / "stdout"
    log.write_text("line 1\nline")
    other.write_text("")
    lines: list[str] = []
    executor = subprocess.Popen(["sleep", "100"], env={**os.environ, JOB_ENV: "mnist-1", **node.variables})

    def on_line(line: str) -> None:
        lines.append(line)
        with log.open("a") as file:
            if line == "line 1":
                file.write(" 2\n")
            elif line == "line 2":
                file.write("the end, unfinished")
                executor.kill()
                executor.wait()

    record = replace(kept(APPLICATION, EXECUTORS), active=True)
    try:
        YarnBackend(yarn_cluster).logs(record, on_line, executor=1, follow=True)
    finally:
        executor.kill()
    assert lines == ["line 1", "line 2", "the end, unfinished"]
    assert [each.name for each in opened] == ["w2"] * 4


def test_who_waits_for_the_driver_connects_again_when_the_connection_breaks(
    node: LocalNode, yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[JobRecord | Unreachable] = [kept(APPLICATION), Unreachable("head", "broke", "Again.")]

    def record(*_: object) -> JobRecord:
        answer = answers.pop()
        if isinstance(answer, Unreachable):
            raise answer
        return answer

    monkeypatch.setattr(YarnBackend, "record", record)
    monkeypatch.setattr(yarn, "BEGUN_POLL_S", 0.0)
    found = YarnBackend(yarn_cluster).wait_for_driver(replace(kept(), active=True), follow=True)
    assert found.history.application == "application_1_0001"
