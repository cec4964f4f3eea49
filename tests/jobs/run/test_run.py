"""A job from submission to results, on a stand-in node: real units of shell, real processes, no cluster."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import ConfigError, JobError, JobRefused, ServiceDown, Unreachable
from bootstrap.ssh import reconnect as link
from bootstrap.ssh.unit import Unit
from bootstrap.storage.hadoop import SharedStorage
from jobs.backends import head, nodes, processes, resource_manager
from jobs.backends.registry import Backends
from jobs.backends.standalone import StandaloneBackend
from jobs.backends.yarn import YarnBackend
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.report.progress import View
from jobs.run import run
from jobs.run.run import attach, run_job
from jobs.trainer import contract
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.jobs.job_processes import job_processes
from tests.jobs.specs import mnist_spec

FINISHES = """
say() { echo "$1" >>"$CAFFE_SPARK_EVENTS"; }
say '{"event": "phase", "time": 1.0, "phase": "start"}'
say '{"event": "phase", "time": 3.0, "phase": "train"}'
say '{"event": "trained", "time": 4.0, "iterations": 7, "images_per_s": 9, "model": "m", "hosts": ["w1"]}'
say '{"event": "means", "time": 5.0, "values": {"accuracy": [0.75], "loss": [0.5]}, "samples": 4}'
out=$(echo "$*" | sed 's#.*-output hdfs://[^/]*##')
mkdir -p "$FAKE_STATE/dfs$out"
row() { printf '{"SampleID": "%s", "accuracy": [%s], "loss": [0.5], "label": [1]}\\n' "$1" "$2"; }
{ row 0 1; row 1 1; } >"$FAKE_STATE/dfs$out/part-0"
{ row 2 1; row 3 0; } >"$FAKE_STATE/dfs$out/part-1"
touch "$FAKE_STATE/dfs$out/_SUCCESS"
say '{"event": "done", "time": 6.0, "seconds": 5.0}'
"""
REFUSES = """
echo '{"event": "failed", "time": 1.0, "message": "x", "code": "output-exists", "fields": {"uri": "o"}}' \
    >>"$CAFFE_SPARK_EVENTS"
echo "Traceback, and so on"; exit 2
"""
RUNS_ON = """
echo '{"event": "phase", "time": 1.0, "phase": "train"}' >>"$CAFFE_SPARK_EVENTS"
while [ -d "$FAKE_STATE" ] && [ ! -e "$FAKE_STATE/go" ]; do sleep 0.05; done
"""
MASTER = {
    "workers": [
        {"host": name, "state": "ALIVE", "coresfree": 1, "memoryfree": 2048} for name in ("w1", "w2")
    ],
    "activeapps": [],
}


class World:
    """The stand-in cluster: every node is the same local shell."""

    def __init__(self, tmp_path: Path, cluster: Cluster) -> None:
        self.tmp, self.cluster, self.results = tmp_path, cluster, tmp_path / "results"
        (tmp_path / "node").mkdir()
        self.node = LocalNode(tmp_path / "node")
        self.node.fake("hdfs", HDFS)
        self.node.fake("install", 'for last; do :; done; mkdir -p "$last"')
        self.node.fake("curl", 'cat "$FAKE_STATE/master.json"')
        self.master(MASTER)
        self.spec = mnist_spec()
        self.out = io.StringIO()

    def master(self, state: dict[str, Any]) -> None:
        (self.node.folder / "state" / "master.json").write_text(json.dumps(state))

    def spark_submit(self, script: str) -> None:
        program = self.tmp / "spark" / "bin" / "spark-submit"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)

    def run(self, *, terminal: bool = False) -> Any:
        console = Console(file=self.out, width=200, force_terminal=terminal, color_system=None)
        return run_job(StandaloneBackend(self.cluster), self.spec, "key-1", console, self.results)

    def backends(self, cluster: Cluster | None = None) -> Backends:
        chosen = cluster or self.cluster
        return Backends(chosen, lambda: chosen)

    def submitted(self) -> list[str]:
        jobs = self.tmp / "jobs"
        return [path.name for path in jobs.iterdir()] if jobs.exists() else []


@pytest.fixture
def world(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, cluster)

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
        yield made.node

    for module in (head, link, nodes, processes):
        monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr(nodes, "_FRAMEWORK", "echo /opt/caffe-versions/key-1")
    monkeypatch.setattr(SharedStorage, "require_writable", lambda self: None)
    monkeypatch.setattr(paths, "JOBS", str(tmp_path / "jobs"))
    monkeypatch.setattr(paths, "SPARK_HOME", str(tmp_path / "spark"))
    yield made
    (made.node.folder / "state" / "go").touch()


def test_a_finished_job_brings_its_results_back(world: World) -> None:
    world.spark_submit(FINISHES)

    summary = world.run()

    folder = world.results / summary.job
    assert (summary.accuracy, summary.samples, summary.iterations) == (0.75, 4, 7)
    assert summary.framework == "key-1"
    assert {"start", "train", "bring back"} <= set(summary.seconds)
    assert len((folder / "features.jsonl").read_text().splitlines()) == 4
    assert json.loads((folder / "summary.json").read_text())["accuracy"] == 0.75
    assert (folder / "means.txt").read_text() == "accuracy: 0.75\nloss: 0.5\n"
    assert (folder / "job.log").exists()
    assert "0.7500" in world.out.getvalue()
    assert f"results  {folder}/\n" in world.out.getvalue()


def test_a_finished_job_has_its_receipt_in_its_summary_and_on_the_terminal(world: World) -> None:
    world.spark_submit(FINISHES)

    summary = world.run()

    written = json.loads((world.results / summary.job / "summary.json").read_text())
    assert written["receipt"] == summary.receipt
    assert written["receipt"]["outcome"] == "done"
    assert not (world.results / summary.job / "receipt.json").exists()
    assert "time     wall " in world.out.getvalue()


def test_a_refused_job_and_a_killed_one_leave_a_receipt_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(REFUSES)
    with pytest.raises(JobError):
        world.run()
    world.spark_submit(RUNS_ON)
    interrupting(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(JobError):
        world.run()

    receipts = [json.loads(file.read_text()) for file in world.results.glob("*/receipt.json")]
    assert sorted(receipt["outcome"] for receipt in receipts) == ["failed", "killed"]
    assert world.out.getvalue().count("receipt  ") == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output": "hdfs:///elsewhere"}, "features hdfs:///elsewhere (json)\n"),
        ({"outputFormat": "parquet"}, "/features (parquet)\n"),
    ],
)
def test_features_that_are_not_fetched_are_told_with_their_place(
    world: World, changes: dict[str, str], words: str
) -> None:
    world.spark_submit(FINISHES)
    world.spec = mnist_spec(**changes)

    summary = world.run()

    folder = world.results / summary.job
    assert (summary.accuracy, summary.samples) == (0.75, 4)
    assert not (folder / "features.jsonl").exists()
    assert words in world.out.getvalue()


CURVE = """
say '{"event": "training", "time": 3.1, "ranks": 2}'
say '{"event": "display", "time": 3.2, "iteration": 0, "max_iter": 7, "loss": 2.5, "lr": 0.01}'
say '{"event": "display", "time": 3.2, "iteration": 1, "max_iter": 7, "loss": 1.5, "lr": 0.01}'
say '{"event": "validation", "time": 3.3, "iteration": 5, "max_iter": 7, "values": {"accuracy": [0.5]}}'
"""


def test_a_curve_its_scalars_and_the_rounds_of_validation_are_among_the_results(world: World) -> None:
    world.spark_submit(FINISHES.replace('say \'{"event": "trained', f'{CURVE}\nsay \'{{"event": "trained'))

    folder = world.results / world.run().job

    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name.split(".")[3] for path in (folder / "tensorboard").iterdir()] == ["3"]
    assert (folder / "validation.csv").read_text() == "iteration,accuracy\n5,0.5\n"
    assert f"curve    {folder}/curve.png" in world.out.getvalue()


def test_a_failed_job_leaves_its_curve(world: World) -> None:
    world.spark_submit(f'say() {{ echo "$1" >>"$CAFFE_SPARK_EVENTS"; }}\n{CURVE}\n{REFUSES}')

    with pytest.raises(JobError, match="-output o: it exists"):
        world.run()

    assert [path.parent.parent for path in world.results.glob("*/curve.png")] == [world.results]


def test_a_job_without_points_leaves_no_curve(world: World) -> None:
    world.spark_submit(FINISHES)

    folder = world.results / world.run().job

    assert sorted(path.name for path in folder.iterdir()) == [
        "features.jsonl",
        "job.log",
        "means.txt",
        "summary.json",
    ]


def test_a_sample_with_a_line_separator_in_its_key_is_one_row(world: World) -> None:
    world.spark_submit(FINISHES.replace("row 3 0;", "row \"$(printf 'a\\342\\200\\250b')\" 0;"))

    assert world.run().samples == 4


def test_of_a_long_log_only_the_end_is_read_and_all_of_it_is_brought_here(world: World) -> None:
    world.spark_submit(f"head -c {64 << 20} /dev/zero; echo; {REFUSES}")

    tracemalloc.start()
    with pytest.raises(JobError, match="-output o: it exists"):
        world.run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    (log,) = world.results.glob("*/job.log")
    assert log.stat().st_size > 64 << 20
    assert peak < 64 << 20


def test_what_the_trainer_refused_is_told_in_one_line_and_its_log_is_here(world: World) -> None:
    world.spark_submit(REFUSES)

    with pytest.raises(JobError) as failed:
        world.run()

    said = str(failed.value)
    assert (
        "-output o: it exists, and results are not overwritten. Remove it, or give another path. The" in said
    )
    assert "\n" not in said
    assert Path(said.rsplit(": ", 1)[1]).read_text() == "Traceback, and so on\n"


def test_a_job_that_has_run_is_told_from_one_that_its_trainer_refused(world: World) -> None:
    launched: list[str] = []

    def run(script: str) -> JobError:
        world.spark_submit(script)
        with pytest.raises(JobError) as failed:
            run_job(
                StandaloneBackend(world.cluster),
                world.spec,
                "key-1",
                Console(file=world.out),
                world.results,
                lambda: launched.append(script),
            )
        return failed.value

    assert isinstance(run(REFUSES), JobRefused)
    assert not isinstance(run("exit 1"), JobRefused)
    assert launched == [REFUSES, "exit 1"]


def test_a_job_of_a_model_that_a_running_job_writes_never_leaves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spec = mnist_spec(model="/models/m.caffemodel")
    place = JobPlace("first-1", f"{paths.JOBS}/first-1", "hdfs://head:9000/jobs/first-1")
    running = JobRecord(SubmittedJob(world.spec, "key", place), 1.0, active=True, status=None)
    monkeypatch.setattr(StandaloneBackend, "records", lambda _: [running])

    with pytest.raises(JobError, match=r"model: /models/m\.caffemodel: job first-1 runs"):
        world.run()

    assert world.submitted() == []


def test_a_job_that_finds_no_room_is_not_launched(world: World) -> None:
    world.master({"workers": [], "activeapps": []})
    with pytest.raises(JobError, match="Spark has room for 0"):
        run_job(
            StandaloneBackend(world.cluster),
            world.spec,
            "key-1",
            Console(file=world.out),
            world.results,
            lambda: pytest.fail("launched"),
        )


def test_a_job_larger_than_the_cluster_never_leaves(world: World) -> None:
    world.spec = world.spec.with_overrides(executors=9)

    with pytest.raises(ConfigError, match="room for 4"):
        world.run()

    assert world.submitted() == []


def test_a_dead_worker_stops_the_job_before_it_is_submitted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
        if node.name == "w2":
            raise Unreachable("w2 (10.9.8.12)", "SSH does not answer", "Run `pulumi up --refresh`.")
        yield world.node

    monkeypatch.setattr(nodes, "connect", connect)

    with pytest.raises(Unreachable, match="w2"):
        world.run()

    assert world.submitted() == []


def test_storage_in_safe_mode_stops_the_job_before_it_is_submitted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: SharedStorage) -> None:
        raise ServiceDown("hdfs://head:9000", "HDFS is in safe mode and takes no writes", "Wait.")

    monkeypatch.setattr(SharedStorage, "require_writable", refuse)

    with pytest.raises(ServiceDown, match="safe mode"):
        world.run()

    assert world.submitted() == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"workers": MASTER["workers"][:1], "activeapps": []}, "its worker on w2 is dead"),
        (
            {
                "workers": [MASTER["workers"][0], {**MASTER["workers"][1], "state": "DEAD"}],
                "activeapps": [],
            },
            "Spark has room for 1: its worker on w2 is dead",
        ),
        (
            {
                "workers": [{**worker, "coresfree": 0} for worker in MASTER["workers"]],
                "activeapps": [{"name": "mnist-20260101-000000"}],
            },
            "Spark has room for 0 now; the rest is in use by: mnist-20260101-000000",
        ),
        (
            {"workers": [{**worker, "memoryfree": 256} for worker in MASTER["workers"]], "activeapps": []},
            "Spark has room for 0 now",
        ),
    ],
)
def test_a_spark_without_room_refuses_with_the_reason(
    world: World, state: dict[str, Any], words: str
) -> None:
    world.master(state)

    with pytest.raises(JobError) as refused:
        world.run()

    assert words in str(refused.value)
    assert world.submitted() == []


def test_a_master_that_is_down_is_told(world: World) -> None:
    world.node.fake("curl", "echo 'Connection refused' >&2; exit 7")

    with pytest.raises(ServiceDown, match=r"spark://head:7077: Spark's master does not answer"):
        world.run()


@pytest.mark.parametrize(
    ("probe", "words"),
    [("exit 1", "Caffe is not installed there"), ("echo $$", "it has .*, the head has")],
)
def test_nodes_without_the_heads_framework_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch, probe: str, words: str
) -> None:
    monkeypatch.setattr(nodes, "_FRAMEWORK", probe)

    with pytest.raises(JobError, match=words):
        world.run()


def interrupting(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Once, when the first event of the job is seen."""
    original, done = View.line, list[bool]()

    def line(self: View, text: str) -> None:
        original(self, text)
        if self.history.events and not done:
            done.append(True)
            action()

    monkeypatch.setattr(View, "line", line)


def ctrl_c() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_without_a_terminal_kills_the_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.spark_submit(RUNS_ON)
    interrupting(monkeypatch, ctrl_c)

    with pytest.raises(JobError, match="it was killed, as you asked"):
        world.run()

    assert job_processes(world.node, world.submitted()[0]) == []
    assert "is gone from head, w1, w2" in world.out.getvalue()


def test_sigterm_kills_the_job_even_on_a_terminal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.spark_submit(RUNS_ON)
    interrupting(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(JobError, match="killed"):
        world.run(terminal=True)

    assert job_processes(world.node, world.submitted()[0]) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_detached_job_runs_on_and_is_attached_to_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(RUNS_ON + FINISHES)
    interrupting(monkeypatch, ctrl_c)
    monkeypatch.setattr(Console, "input", lambda *_: "d")

    assert world.run(terminal=True) is None

    job = world.submitted()[0]
    assert job_processes(world.node, job)
    assert f"fab attach {job}" in world.out.getvalue()
    (world.node.folder / "state" / "go").touch()
    summary = attach(world.backends(), job, Console(file=world.out), world.results)
    assert summary is not None
    assert (summary.job, summary.accuracy, summary.framework) == (job, 0.75, "key-1")


def test_after_second_thoughts_it_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.spark_submit(RUNS_ON + FINISHES)
    interrupting(monkeypatch, ctrl_c)
    answers = iter(["what?", "g"])

    def think(*_: object) -> str:
        answer = next(answers)
        (world.node.folder / "state" / "go").touch()
        return answer

    monkeypatch.setattr(Console, "input", think)

    assert world.run(terminal=True).accuracy == 0.75


def test_a_killed_driver_is_told_as_such(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.spark_submit(RUNS_ON)

    def kill() -> None:
        world.node.run(f"systemctl stop caffe-spark-job-{world.submitted()[0]}")

    interrupting(monkeypatch, kill)

    with pytest.raises(JobError) as raised:
        world.run()

    said = str(raised.value)
    assert "its driver was killed with all of its unit, and head stayed up" in said
    assert "There is no snapshot to resume from." in said
    (log,) = world.results.glob("*/job.log")
    assert log.read_text().endswith(f"caffe-spark: {said}\n"), "the log says the same"


def test_a_driver_that_was_killed_alone_is_told_from_a_killed_unit(world: World) -> None:
    world.spark_submit("kill -9 $$")

    with pytest.raises(JobError, match=r"its driver was killed \(status 137\), and head stayed up"):
        world.run()


def test_a_head_that_says_nothing_of_a_lost_job_is_no_second_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit("kill -9 $$")

    def silent(*_: object) -> str:
        raise Unreachable("head", "SSH does not answer", "Run `pulumi up`.")

    monkeypatch.setattr(StandaloneBackend, "why_lost", silent)

    with pytest.raises(JobError, match="its driver was killed, or head went down, which does not say"):
        world.run()


def test_a_killed_driver_leaves_its_last_snapshot_to_resume_from(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = (
        '{"event": "snapshot", "time": 1.0, "iteration": 200, "weights": "hdfs:///w", "state": "hdfs:///s"}'
    )
    world.spark_submit(f"""echo '{snapshot}' >>"$CAFFE_SPARK_EVENTS"\n{RUNS_ON}""")
    interrupting(
        monkeypatch, lambda: world.node.run(f"systemctl stop caffe-spark-job-{world.submitted()[0]}")
    )

    with pytest.raises(
        JobError,
        match=r"Resume from iteration 200 with -snapshot hdfs:///s -weights hdfs:///w: "
        r"`fab resume mnist-\S+ --stack dev`\. The full log: ",
    ):
        world.run()


def test_a_job_that_somebody_else_killed_is_told_as_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(RUNS_ON)
    quiet = Console(file=io.StringIO())
    interrupting(monkeypatch, lambda: run.kill(world.backends(), world.submitted()[0], quiet, world.results))

    with pytest.raises(JobError, match=r"it was killed\. Submit it again to rerun it\. There is no snapshot"):
        world.run()

    job = world.submitted()[0]
    assert job_processes(world.node, job) == []
    run.kill(world.backends(), job, Console(file=world.out), world.results)
    assert f"{job} has ended already: killed" in world.out.getvalue()


def test_two_jobs_of_the_same_second_have_each_their_own_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(FINISHES)
    monkeypatch.setattr(time, "strftime", lambda *_: "20261128-120000")

    names = {world.run().job, world.run().job}

    assert names == {"mnist-20261128-120000", "mnist-20261128-120000-2"}


def test_a_head_out_of_reach_is_no_reason_to_submit_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(RUNS_ON)

    def lost(*_: object, **__: object) -> int:
        raise Unreachable("head", "SSH does not answer", "Run `pulumi up`; then this again.")

    monkeypatch.setattr(Unit, "follow", lost)

    with pytest.raises(Unreachable, match=r"runs on there.*`fab attach mnist-\S+ --stack dev`") as raised:
        world.run()
    assert "then this again" not in str(raised.value)


def test_an_interrupt_while_results_are_fetched_names_the_command_that_brings_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(FINISHES)
    monkeypatch.setattr(StandaloneBackend, "bring_features", lambda *_: ctrl_c())

    with pytest.raises(JobError, match=r"it has ended.*`fab attach mnist-\S+ --stack dev`"):
        world.run()


def test_a_job_is_swept_though_yarn_cannot_be_told(
    world: World, yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(RUNS_ON)
    interrupting(
        monkeypatch,
        lambda: run.kill(
            world.backends(yarn_cluster), world.submitted()[0], Console(file=world.out), world.results
        ),
    )

    def down(*_: object) -> None:
        raise ServiceDown(
            "http://head:8088", "YARN's ResourceManager does not answer", "Run `fab bootstrap`."
        )

    monkeypatch.setattr(resource_manager, "unfinished", lambda *_: [])
    monkeypatch.setattr(resource_manager, "kill", down)

    with pytest.raises(ServiceDown, match="ResourceManager does not answer"):
        world.run()
    assert job_processes(world.node, world.submitted()[0]) == []


def test_what_yarn_still_runs_is_killed_whatever_the_heads_record_says(
    world: World, yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.spark_submit(FINISHES)
    job = world.run().job
    told = list[str]()
    monkeypatch.setattr(resource_manager, "unfinished", lambda *_: ["application_7"])
    monkeypatch.setattr(resource_manager, "kill", lambda _head, _cluster, name: told.append(name))

    run.kill(world.backends(yarn_cluster), job, Console(file=world.out), world.results)

    assert told == [job]


def test_killing_what_is_not_there_names_what_is(world: World) -> None:
    with pytest.raises(JobError, match="'mnist-9': head has no such job; there is none yet"):
        run.kill(world.backends(), "mnist-9", Console(file=world.out), world.results)


def test_too_few_executors_are_explained_by_yarn(
    world: World, yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource_manager, "explain", lambda *_: "the NodeManager on w2 is lost")
    job = SubmittedJob(world.spec, "key-1", JobPlace("j", "/jobs/j", "hdfs://head:9000/jobs/j"))
    view, backend = View(Console(file=world.out)), YarnBackend(yarn_cluster)

    def told() -> str:
        return str(run._failure(backend, job, view, code=1, text="", where="job.log"))

    view.line(contract.dump(contract.Failed("output-exists", {"uri": "o"})))
    assert "NodeManager" not in told()
    view.line(contract.dump(contract.Failed("executors-missing", {"requested": 2, "registered": 1})))
    assert "not as expected: the NodeManager on w2 is lost. Run" in told()


def test_an_unknown_job_is_refused_with_the_ones_there_are(world: World) -> None:
    world.spark_submit(FINISHES)
    world.run()

    with pytest.raises(JobError, match=r"'mnist-2': head has no such job; recent jobs: mnist-2\d+-\d+"):
        attach(world.backends(), "mnist-2", Console(file=world.out), world.results)


def test_results_of_a_forged_record_come_into_the_folder_of_the_job_that_was_named(world: World) -> None:
    world.spark_submit(FINISHES)
    job = world.run().job
    shutil.rmtree(world.results)
    file = world.tmp / "jobs" / job / "job.json"
    record = json.loads(file.read_text())
    away = {"id": "../../away", "folder": "/etc", "storage": "hdfs://other/x"}
    file.write_text(json.dumps({**record, "place": {**record["place"], **away}}))

    summary = attach(world.backends(), job, Console(file=world.out), world.results)

    assert summary is not None
    assert (summary.job, summary.samples) == (job, 4)
    assert [path.name for path in world.results.iterdir()] == [job]
    assert not list(world.tmp.rglob("away"))
