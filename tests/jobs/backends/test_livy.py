"""A job through Livy: a server on loopback that answers as Livy documents, storage in memory."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, ClusterDocument
from bootstrap.errors import ConfigError, JobError, ServiceDown, Unreachable
from jobs.backends import livy_batch
from jobs.backends.livy import LivyBackend, body
from jobs.backends.livy_batches import Livy, Refused
from jobs.backends.registry import LIVY, Backends
from jobs.job import JobPlace
from jobs.run.run import attach, kill, run_job
from jobs.run.status import status
from jobs.spec import JobSpec
from jobs.trainer.cli import parse
from jobs.trainer.events.mirror import Mirror
from jobs.trainer.main import main as trainer
from tests.jobs.conftest import SPECS

URI = "wasbs://files@account1.blob.core.windows.net"
PASSWORD = "not-To-be-5een!"
EVENTS = [
    {"event": "phase", "time": 1.0, "phase": "train"},
    {"event": "trained", "time": 4.0, "iterations": 7, "images_per_s": 9, "model": "m", "hosts": ["wn0"]},
    {"event": "done", "time": 6.0},
]
ROWS = [{"SampleID": str(number), "accuracy": [1.0], "loss": [0.5], "label": [1]} for number in range(4)]


class Memory:
    uri = URI

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/data/mnist/train_lmdb/data.mdb": b"x"}
        self.failing = 0

    def url(self, path: str) -> str:
        return f"{URI}/{path.lstrip('/')}"

    def read(self, path: str) -> bytes | None:
        if self.failing:
            self.failing -= 1
            raise ServiceDown("reading events", "storage does not answer", "Look.")
        return self.files.get("/" + path.lstrip("/"))

    def write(self, path: str, data: bytes) -> None:
        self.files["/" + path.lstrip("/")] = data

    def exists(self, path: str) -> bool:
        return "/" + path.lstrip("/") in self.files

    def list(self, prefix: str = "") -> list[str]:
        return sorted(path.lstrip("/") for path in self.files if path.lstrip("/").startswith(prefix))


class LivyServer:
    """Batches that walk through these states, one at each question."""

    def __init__(self, storage: Memory) -> None:
        self.states = ["starting", "running", "success"]
        self.events: list[dict[str, Any]] = list(EVENTS)
        self.log = ["stdout: ", "what spark-submit said"]
        self.application: str | None = "application_1_0007"
        self.submitted: dict[str, Any] = {}
        self.deleted = False
        self.status = 201
        self.failing = 0
        """So many answers about a batch are 502; a negative number: all."""
        self.forgotten = False
        """Whether Livy has removed the batch, as it does some time after its end."""
        self.dropping = False
        """Whether a connection is closed without an answer."""
        self.cuts: list[int] = []
        """Bytes that the copy of the events lacks, one at each question."""
        self.on_post: Callable[[], None] = lambda: None
        self.on_state: Callable[[], None] = lambda: None
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.headers = dict(self.headers)
                outer.submitted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.on_post()
                if not outer.dropping:
                    self.answer({"id": 7, "state": "starting"}, outer.status)

            def do_GET(self) -> None:
                if outer.failing:
                    outer.failing -= 1
                    self.answer({"error": "Bad Gateway"}, 502)
                elif self.path.endswith("/state") and not outer.forgotten:
                    state = outer.states.pop(0) if len(outer.states) > 1 else outer.states[0]
                    if state != "starting":
                        name = outer.submitted["name"]
                        text = "".join(json.dumps(event) + "\n" for event in outer.events)
                        cut = outer.cuts.pop(0) if outer.cuts else 0
                        storage.write(f"/jobs/{name}/events.jsonl", text.encode()[: len(text) - cut])
                        rows = "".join(json.dumps(row) + "\n" for row in ROWS)
                        storage.write(f"/jobs/{name}/features/part-0", rows.encode())
                    outer.on_state()
                    self.answer({"id": 7, "state": state})
                elif outer.forgotten and "/batches/7" in self.path:
                    self.answer({"msg": "Session '7' not found."}, 404)
                elif self.path.partition("?")[0].endswith("/batches"):
                    self.answer({"sessions": [{"id": 7, "name": outer.submitted.get("name")}]})
                elif self.path.endswith("/7"):
                    self.answer({"id": 7, "appId": outer.application})
                else:
                    self.answer({"id": 7, "log": outer.log})

            def do_DELETE(self) -> None:
                outer.deleted = not outer.failing
                self.answer({"msg": "deleted"}, 502 if outer.failing else 200)

            def answer(self, document: dict[str, Any], status: int = 200) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


class World:
    def __init__(self, tmp_path: Path, cluster: ClusterDocument, storage: Memory, livy: LivyServer) -> None:
        self.results, self.cluster, self.storage, self.livy = tmp_path, cluster, storage, livy
        self.spec = JobSpec.from_file(SPECS / "mnist.yaml")
        self.out = io.StringIO()

    def run(self) -> Any:
        console = Console(file=self.out, width=200)
        return run_job(LivyBackend(self.cluster, 0.01), self.spec, "caffe-1", console, self.results)

    def backends(self) -> Backends:
        """As another process has them, on a machine that cannot reach the heads by SSH."""

        def resolve() -> Cluster:
            raise Unreachable("hn0", "SSH does not answer", "Run `fab doctor`.")

        made = Backends(self.cluster, resolve)
        made._made[LIVY] = LivyBackend(self.cluster, 0.01)
        return made

    def left_running(self) -> str:
        """Submit a job that nobody follows; returns its id."""
        self.livy.states = ["running"]
        return LivyBackend(self.cluster, 0.01).launch(self.spec, "caffe-1", lambda _: None).id


@pytest.fixture
def world(tmp_path: Path, yarn_document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    storage = Memory()
    livy = LivyServer(storage)
    document = {
        **yarn_document,
        "provider": "azure",
        "storage": {"kind": "blob", "uri": URI, "key": "a2V5"},
        "members": {
            "kind": "hdinsight",
            "subscription": "s",
            "resource_group": "g",
            "name": "mycluster",
            "region": "westeurope",
            "artifacts": "wasbs://artifacts@account1.blob.core.windows.net",
            "worker_count": 3,
            "gateway": livy.url,
            "gateway_user": "admin",
            "gateway_password": PASSWORD,
        },
    }

    class Blobs:
        @staticmethod
        def of(_: ClusterDocument) -> Memory:
            return storage

    monkeypatch.setattr("bootstrap.storage.blob.Blobs", Blobs)
    yield World(tmp_path, ClusterDocument.model_validate(document), storage, livy)
    livy.server.shutdown()


def test_a_job_is_followed_by_its_events_in_storage_and_its_results_come_back(world: World) -> None:
    summary = world.run()
    folder = world.results / summary.job
    assert (summary.accuracy, summary.samples, summary.iterations) == (1.0, 4, 7)
    assert summary.framework == "caffe-1"
    assert len((folder / "features.jsonl").read_text().splitlines()) == 4
    assert "what spark-submit said" in (folder / "job.log").read_text()
    assert world.out.getvalue().splitlines().count("train") == 1, "each event is told once"


def test_livy_gets_what_spark_submit_would(world: World) -> None:
    summary = world.run()
    asked = world.livy.submitted
    folder = f"{URI}/jobs/{summary.job}"
    assert asked["file"] == f"{folder}/main.py"
    assert asked["pyFiles"] == [f"{folder}/trainer.zip"]
    assert f"{folder}/lenet_memory_solver.prototxt" in asked["files"]
    assert parse(asked["args"]).train
    assert asked["conf"]["spark.executor.instances"] == "2"
    assert asked["conf"]["spark.yarn.appMasterEnv.CAFFE_SPARK_EVENTS_URI"] == f"{folder}/events.jsonl"
    for path in (asked["file"], *asked["pyFiles"], *asked["files"]):
        assert world.storage.exists(path.removeprefix(URI)), path


def test_the_gateway_gets_the_stacks_password_and_livys_header(world: World) -> None:
    world.run()
    kind, _, given = world.livy.headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(given).decode()) == ("Basic", f"admin:{PASSWORD}")
    assert world.livy.headers["X-Requested-By"] == "admin"
    assert PASSWORD not in json.dumps(world.livy.submitted) + world.out.getvalue()


def test_what_the_driver_refused_is_told_in_its_own_words(world: World) -> None:
    world.livy.states = ["dead"]
    world.livy.events = [
        {"event": "failed", "time": 1.0, "message": "x", "code": "output-exists", "fields": {"uri": "o"}}
    ]
    with pytest.raises(JobError, match=r"-output o: it exists.*another path\. The full log: .*job\.log"):
        world.run()


def test_a_driver_that_never_spoke_is_explained_by_livys_log(world: World) -> None:
    world.livy.states, world.livy.events = ["dead"], []
    world.livy.log = ['java.io.IOException: No FileSystem for scheme "gs"']
    with pytest.raises(JobError, match="a path begins with gs:"):
        world.run()


@pytest.mark.parametrize(
    ("status", "words"), [(401, "gateway refuses user 'admin'"), (403, "refuses"), (500, "Livy answers 500")]
)
def test_a_refusal_is_one_line(world: World, status: int, words: str) -> None:
    world.livy.status = status
    with pytest.raises(ServiceDown, match=words) as refused:
        world.run()
    assert PASSWORD not in str(refused.value)


def test_a_gateway_that_does_not_answer_is_said_so(world: World) -> None:
    world.livy.server.shutdown()
    world.livy.server.server_close()
    with pytest.raises(ServiceDown, match="Livy does not answer"):
        world.run()


def test_data_that_is_not_there_is_refused_before_anything_is_uploaded(world: World) -> None:
    world.storage.files.clear()
    with pytest.raises(JobError, match=r"data: mnist: it is not in .*without --livy"):
        world.run()
    assert world.storage.files == {}


def test_a_job_larger_than_the_declared_cluster_never_leaves(world: World) -> None:
    world.spec = world.spec.with_overrides(executors=9)
    with pytest.raises(ConfigError, match="room for 5"):
        world.run()
    assert world.livy.submitted == {}


def test_a_stack_without_livy_is_told_to_leave_the_flag_out(yarn_cluster: ClusterDocument) -> None:
    with pytest.raises(ConfigError, match=r"it has no Livy.*Leave --livy out"):
        LivyBackend(yarn_cluster)


def test_what_livy_sets_itself_is_left_to_it(world: World) -> None:
    place = JobPlace("mnist-1", "", f"{URI}/jobs/mnist-1")
    conf = body(world.spec, world.cluster, place)["conf"]
    assert "spark.yarn.tags" not in conf
    assert "spark.yarn.submit.waitAppCompletion" not in conf


# ---- a batch runs and bills whether or not anybody follows it


def test_answers_that_fail_for_a_moment_lose_no_job(world: World) -> None:
    world.livy.failing = 3
    assert world.run().accuracy == 1.0
    assert world.out.getvalue().count("Livy answers 502") == 1, "it is told once, not at each question"


def test_a_storage_that_fails_for_a_moment_loses_no_job(world: World) -> None:
    world.storage.failing = 2
    assert world.run().accuracy == 1.0


def test_a_batch_that_can_no_longer_be_followed_is_named_with_what_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livy_batch, "PATIENCE_S", 0.1)
    world.livy.failing = -1
    with pytest.raises(ServiceDown) as lost:
        world.run()
    said, url = str(lost.value), f"{world.livy.url}/livy/batches/7"
    assert said.startswith(f"job {world.livy.submitted['name']}: Livy's batch 7 of it runs on")
    assert f"`curl -u admin {url}`" in said
    assert f"`curl -u admin -X DELETE -H 'X-Requested-By: admin' {url}`" in said
    assert "gateway_password --show-secrets --stack" in said
    assert PASSWORD not in said
    assert "fab status" not in said


def test_a_refusal_while_a_batch_runs_is_not_waited_for_and_names_the_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> str:
        raise Refused("the gateway", "it refuses user 'admin'", "Mend.")

    monkeypatch.setattr(Livy, "state", refuse)
    began = time.monotonic()
    with pytest.raises(ServiceDown, match=r"batch 7 of it runs on .*refuses user 'admin'"):
        world.run()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["on_post", "on_state"])
def test_ctrl_c_and_sigterm_end_the_batch_at_any_moment(
    world: World, number: signal.Signals, moment: str
) -> None:
    world.livy.states = ["running"]
    before = signal.getsignal(signal.SIGTERM)
    # What a shell does to commands in the background must not decide what is tested here.
    monkey = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        setattr(world.livy, moment, lambda: os.kill(os.getpid(), number))
        with pytest.raises(JobError, match="killed, as you asked"):
            world.run()
    finally:
        signal.signal(signal.SIGINT, monkey)
    assert world.livy.deleted
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_batch_that_cannot_be_ended_is_said_to_run_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livy_batch, "KILL_PATIENCE_S", 0.1)

    def stop() -> None:
        world.livy.failing = -1
        os.kill(os.getpid(), signal.SIGTERM)

    world.livy.states, world.livy.on_state = ["running"], stop
    with pytest.raises(ServiceDown, match=r"batch 7 of it runs on and could not be ended .*-X DELETE"):
        world.run()


def test_an_answer_that_is_lost_after_submission_says_that_the_job_may_have_begun(world: World) -> None:
    world.livy.dropping = True
    with pytest.raises(ServiceDown, match=r"^job mnist-.*it may have begun\. Look .*/livy/batches`"):
        world.run()


def test_a_gateway_that_was_never_reached_has_begun_nothing(world: World) -> None:
    world.livy.server.shutdown()
    world.livy.server.server_close()
    with pytest.raises(ServiceDown) as down:
        world.run()
    assert "may have begun" not in str(down.value)


def test_a_log_that_cannot_be_read_costs_no_results(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> list[str]:
        raise ServiceDown("Livy", "it does not answer", "Look.")

    monkeypatch.setattr(livy_batch, "PATIENCE_S", 0.1)
    monkeypatch.setattr(Livy, "log", fail)
    summary = world.run()
    assert "cannot be read" in (world.results / summary.job / "job.log").read_text()


def test_a_failure_says_where_the_drivers_own_log_is(world: World) -> None:
    world.livy.states, world.livy.events = ["dead"], []
    with pytest.raises(JobError, match=r"`yarn logs -applicationId application_1_0007` on a head"):
        world.run()


def test_a_failure_before_yarn_knew_the_job_names_livys_log_alone(world: World) -> None:
    world.livy.states, world.livy.events, world.livy.application = ["dead"], [], None
    with pytest.raises(JobError, match=r"The full log: .*job\.log") as failed:
        world.run()
    assert "applicationId" not in str(failed.value)


def test_an_event_that_was_copied_by_half_is_told_when_it_is_whole(world: World) -> None:
    world.livy.states = ["running", "running", "success"]
    text = "".join(json.dumps(event) + "\n" for event in EVENTS)
    world.livy.cuts = [len(text) - 20, 30]
    assert world.run().iterations == 7
    assert world.out.getvalue().splitlines().count("train") == 1


# ---- a batch leaves the same record as any other job


def quiet() -> Console:
    return Console(file=io.StringIO(), width=250)


def test_a_batch_that_nobody_follows_is_listed_with_its_progress(world: World) -> None:
    job = world.left_running()
    world.livy.events = [
        {"event": "phase", "time": 1.0, "phase": "train"},
        {"event": "progress", "time": 2.0, "iteration": 7, "max_iter": 9},
    ]
    LivyBackend(world.cluster)._livy.state(7)
    out = io.StringIO()

    Console(file=out, width=250).print(status(world.backends()))

    (line,) = [line for line in out.getvalue().splitlines() if job in line]
    assert "running" in line
    assert "train, iteration 7 of 9" in line
    assert "hn0: SSH does not answer. Run `fab doctor`." in out.getvalue(), (
        "YARN's own jobs could not be asked"
    )


def test_a_batch_is_attached_to_from_another_process(world: World) -> None:
    job = world.left_running()
    world.livy.states = ["running", "success"]

    summary = attach(world.backends(), job, quiet(), world.results)

    assert summary is not None
    assert (summary.job, summary.accuracy, summary.framework) == (job, 1.0, "caffe-1")
    assert (world.results / job / "summary.json").exists()


def test_a_batch_whose_answer_was_lost_is_found_by_its_name(world: World) -> None:
    world.livy.dropping = True
    with pytest.raises(ServiceDown, match="it may have begun"):
        world.run()
    world.livy.dropping = False

    summary = attach(world.backends(), world.livy.submitted["name"], quiet(), world.results)

    assert summary is not None
    assert summary.accuracy == 1.0


def test_a_batch_is_killed_from_another_process(world: World) -> None:
    job = world.left_running()
    out = io.StringIO()

    kill(world.backends(), job, Console(file=out, width=250))

    assert world.livy.deleted
    assert f"{job} is ended: Livy's batch 7 on mycluster" in out.getvalue()


def test_a_batch_that_has_ended_is_not_killed(world: World) -> None:
    job = world.run().job
    out = io.StringIO()

    kill(world.backends(), job, Console(file=out, width=250))

    assert not world.livy.deleted
    assert f"{job} has ended already: done" in out.getvalue()


def test_spark_submits_log_is_shown_and_an_executors_is_looked_for_on_a_head(world: World) -> None:
    job = world.left_running()
    backend, record = world.backends().find(job)
    lines = list[str]()

    backend.logs(record, lines.append, executor=None, follow=False)

    assert "what spark-submit said" in lines
    with pytest.raises(
        JobError, match=r"executor 1 .*`yarn logs -applicationId application_1_0007` on a head"
    ):
        backend.logs(record, lines.append, executor=1, follow=False)


def test_a_followed_log_goes_on_until_the_batch_ends(world: World) -> None:
    job = world.left_running()
    backend, record = world.backends().find(job)
    lines = list[str]()
    world.livy.states = ["running", "running", "success"]
    world.livy.on_state = lambda: world.livy.log.append("more")

    backend.logs(record, lines.append, executor=None, follow=True)

    assert lines.count("more") == 3
    assert lines.count("what spark-submit said") == 1


@pytest.mark.parametrize(
    ("last", "state"),
    [
        ({"event": "done", "time": 6.0}, "done"),
        ({"event": "failed", "time": 6.0, "code": "output-exists", "exit_code": 2}, "refused"),
        ({"event": "phase", "time": 6.0, "phase": "stop"}, "lost"),
    ],
)
def test_a_batch_that_livy_forgot_ended_as_its_events_say(
    world: World, last: dict[str, Any], state: str
) -> None:
    job = world.left_running()
    world.livy.events = [last]
    LivyBackend(world.cluster)._livy.state(7)
    world.livy.forgotten = True

    assert world.backends().find(job)[1].state == state


def test_a_job_that_nobody_knows_is_told_by_the_backend_that_could_not_be_asked(world: World) -> None:
    with pytest.raises(Unreachable, match="hn0: SSH does not answer"):
        world.backends().find("mnist-9")


# ---- the copy of the events


class Files:
    def __init__(self) -> None:
        self.written: list[str] = []
        self.fails = 0

    def write(self, _: str, text: str) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("no storage")
        self.written.append(text)


def test_events_are_copied_when_there_are_new_ones_and_at_the_end(tmp_path: Path) -> None:
    source, files = tmp_path / "events.jsonl", Files()
    source.write_text("one\n")
    mirror = Mirror(files, source, "wasbs://x", interval=60)
    source.write_text("one\ntwo\n")
    mirror.close()
    assert files.written == ["one\ntwo\n"]


def test_a_copy_that_fails_is_tried_again_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, files = tmp_path / "events.jsonl", Files()
    source.write_text("one\n")
    files.fails = 1
    mirror = Mirror(files, source, "wasbs://x", interval=60)
    mirror._copy()
    mirror.close()
    assert files.written == ["one\n"]
    assert "events are not copied to wasbs://x: no storage" in capsys.readouterr().out


def test_the_last_copy_is_tried_again_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.trainer.events.mirror.AGAIN", 0)
    source, files = tmp_path / "events.jsonl", Files()
    source.write_text("one\n")
    files.fails = 1
    Mirror(files, source, "wasbs://x", interval=60).close()
    assert files.written == ["one\n"]


def test_a_storage_that_hangs_does_not_keep_the_job_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jobs.trainer.events.mirror.CLOSING", 0.1)
    source, over = tmp_path / "events.jsonl", threading.Event()
    source.write_text("one\n")

    class Hanging:
        def write(self, *_: str) -> None:
            over.wait(30)

    closing = threading.Thread(target=Mirror(Hanging(), source, "wasbs://x", interval=60).close, daemon=True)
    closing.start()
    closing.join(5)
    ended = not closing.is_alive()
    over.set()
    assert ended
    assert "events are not copied to wasbs://x: the last copy takes longer" in capsys.readouterr().out


# ---- what is refused before Spark is up


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files()
    monkeypatch.setenv("CAFFE_SPARK_EVENTS", str(tmp_path / "events.jsonl"))
    monkeypatch.setenv("CAFFE_SPARK_EVENTS_URI", "wasbs://x")
    monkeypatch.setattr("jobs.trainer.main._jvm_alone", object)
    monkeypatch.setattr("jobs.trainer.files.hadoop.Files", lambda _: files)
    return files


def test_a_command_line_that_is_refused_is_copied_for_who_follows(copied: Files) -> None:
    assert trainer(["-bad"]) == 2
    last = json.loads(copied.written[-1].splitlines()[-1])
    assert (last["event"], last["code"], last["fields"]["option"]) == ("failed", "option-unknown", "-bad")


def test_a_job_is_refused_in_its_own_words_where_there_is_no_jvm_to_copy_them(
    copied: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError("no JVM")

    monkeypatch.setattr("jobs.trainer.main._jvm_alone", fail)
    assert trainer(["-bad"]) == 2
    assert "events are not copied to wasbs://x: no JVM" in capsys.readouterr().out
    assert copied.written == []
