"""A job through Livy: a server on loopback that answers as Livy documents, storage in memory."""

from __future__ import annotations

import base64
import io
import json
import time
from functools import partial
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import ClusterDocument
from bootstrap.errors import ConfigError, JobError, ServiceDown, Unreachable
from jobs.backends import livy_files
from jobs.backends.livy import LivyBackend, body
from jobs.job import JobPlace, SubmittedJob, is_job_id
from jobs.run.run import attach, kill
from jobs.run.status import status
from jobs.trainer import contract
from jobs.trainer.cli import parse
from tests.at_once import at_once
from tests.jobs.backends.conftest import World
from tests.jobs.backends.livy_server import EVENTS, PASSWORD, URI


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


def test_events_that_were_read_are_not_read_again(world: World) -> None:
    world.livy.states = ["running", "running", "success"]
    world.run()

    size = len("".join(json.dumps(event) + "\n" for event in world.livy.events))
    assert world.storage.starts[-2:] == [size, size]


def test_rows_keep_the_characters_that_only_look_like_a_line_end(world: World) -> None:
    row = {"SampleID": "a\u2028b\x85c", "accuracy": [1.0], "loss": [0.5], "label": [1]}
    after = "/features/part-1"
    world.livy.on_state = lambda: world.storage.write(
        f"/jobs/{world.livy.submitted['name']}{after}", json.dumps(row, ensure_ascii=False).encode() + b"\n"
    )

    assert world.run().samples == 5


def test_what_the_driver_refused_is_told_in_its_own_words(world: World) -> None:
    world.livy.states = ["dead"]
    world.livy.events = [
        {
            "event": "failed",
            "time": 1.0,
            "message": "x",
            "code": "output-exists",
            "fields": {"uri": "o"},
            "exit_code": 2,
        }
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


def test_own_data_that_is_not_there_is_told_with_how_to_put_it(world: World) -> None:
    world.spec = world.spec.model_copy(update={"data": "pets"})
    with pytest.raises(JobError, match=r"data: pets: it is not in .*`fab data put PATH pets --stack"):
        world.run()


def test_data_without_its_manifest_is_not_complete(world: World) -> None:
    world.storage.files = {"/data/mnist/train_lmdb/data.mdb": b"x"}
    with pytest.raises(JobError, match=r"data: mnist: it is not in .*without --livy"):
        world.run()


def test_a_job_larger_than_the_declared_cluster_never_leaves(world: World) -> None:
    world.spec = world.spec.with_overrides(executors=9)
    with pytest.raises(ConfigError, match="room for 5"):
        world.run()
    assert world.livy.submitted == {}


def test_a_driver_that_is_to_begin_again_is_refused_since_livy_starts_none(world: World) -> None:
    world.spec = world.spec.model_copy(update={"onDriverLost": "restart"})
    with pytest.raises(ConfigError, match=r"onDriverLost: restart: Livy starts no driver again.*fab resume"):
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


def test_jobs_submitted_in_the_same_second_have_names_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20261124-120000")
    world.livy.states = ["running"]
    submitted = list[SubmittedJob]()

    def submit(executors: int) -> None:
        backend, spec = LivyBackend(world.cluster, 0.01), world.spec.with_overrides(executors=executors)
        submitted.append(backend.launch(spec, "caffe-1", lambda _: None))

    at_once(*(partial(submit, executors) for executors in (1, 2, 3)))

    found = {record.id: record.job for record in LivyBackend(world.cluster).records()}
    assert found == {job.id: job for job in submitted}
    assert len(found) == 3
    assert all(is_job_id(name) for name in found)


def test_a_job_and_one_that_a_head_starts_in_the_same_second_share_no_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20261124-120000")

    assert world.left_running() != f"{world.spec.name}-20261124-120000"


def test_long_events_are_followed_and_listed_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livy_files, "PART", 300)
    monkeypatch.setattr(livy_files, "END", 200)
    noise = [{"event": "note", "time": 1.0, "message": f"{number}"} for number in range(100)]
    long = {"event": "note", "time": 1.0, "message": "x" * 1000}
    events = [EVENTS[0], *noise, long, *noise, *EVENTS[1:]]
    world.livy.events = events

    summary = world.run()

    assert summary.iterations == 7
    said = world.out.getvalue().splitlines()
    assert said.count("train") == 1
    history = world.backends().find(summary.job)[1].history
    assert (history.phase, history.events[-1]) == ("train", contract.Done(0.0))
    assert len(history.events) < 10
    assert world.storage.longest <= 300


def test_events_are_read_for_a_curve_while_a_batch_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livy_files, "PART", 500)
    lines = [contract.dump(contract.Display(number, 99, 0.5)) for number in range(30)]
    progress = contract.dump(contract.Progress(1, 99))
    written = [text for line in lines for text in (progress, line)]
    world.livy.events = [json.loads(line) for line in [*written, lines[0]]]
    name = world.left_running()
    world.livy.cuts = [5] * 9
    backend, record = world.backends().find(name)
    found: list[str] = []

    assert backend.events(record.job, [contract.Display], found.append)
    assert found == lines
    monkeypatch.setattr(livy_files, "MOST_EVENTS", 1000)
    assert not backend.events(record.job, [contract.Display], found.append)


def test_a_record_that_is_too_long_hides_no_other_job(world: World) -> None:
    job = world.left_running()
    record = world.storage.files[f"/jobs/{job}/job.json"]
    world.storage.files["/jobs/long-1/job.json"] = record + b" " * (5 << 20)

    assert [found.id for found in LivyBackend(world.cluster).records()] == [job]


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
    with pytest.raises(ServiceDown, match="it may have started"):
        world.run()
    world.livy.dropping = False

    summary = attach(world.backends(), world.livy.submitted["name"], quiet(), world.results)

    assert summary is not None
    assert summary.accuracy == 1.0


def test_a_batch_is_killed_from_another_process(world: World) -> None:
    job = world.left_running()
    out = io.StringIO()

    kill(world.backends(), job, Console(file=out, width=250), world.results)

    assert world.livy.deleted
    assert f"{job} is ended: Livy's batch 7 on mycluster" in out.getvalue()


def test_a_batch_that_has_ended_is_not_killed(world: World) -> None:
    job = world.run().job
    out = io.StringIO()

    kill(world.backends(), job, Console(file=out, width=250), world.results)

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


def test_a_record_in_storage_does_not_say_which_job_it_is(world: World) -> None:
    job = world.left_running()
    world.livy.states = ["running", "success"]
    path = f"/jobs/{job}/job.json"
    record = json.loads(world.storage.files[path])
    record["place"]["id"] = "../../away"
    world.storage.files[path] = json.dumps(record).encode()
    world.storage.files["/jobs/x\x1b[2J/job.json"] = world.storage.files[path]

    summary = attach(world.backends(), job, quiet(), world.results)

    assert summary is not None
    assert summary.job == job
    assert (world.results / job / "summary.json").exists()
    assert [found.id for found in LivyBackend(world.cluster).records()] == [job]
