"""`fab resume`: which specification goes on from an ended job, on a stand-in head."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import ConfigError, JobError
from jobs.backends.head_records import place_of
from jobs.backends.registry import Backends
from jobs.backends.standalone import StandaloneBackend
from jobs.job import SubmittedJob
from jobs.run.resume import resumed
from jobs.spec import JobSpec
from jobs.submission.spark_submit import trainer_arguments
from jobs.trainer.cli import parse
from jobs.trainer.contract import Event, Snapshot, Trained, dump
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.jobs.specs import mnist_spec

OWN = "hdfs://head:9000/jobs/mnist-1"
AT_200 = Snapshot(200, 2000, f"{OWN}/l_iter_200.caffemodel", f"{OWN}/l_iter_200.solverstate")
DONE = Trained(model=f"{OWN}/mnist.model")


class World:
    """A head with a job that has ended, whose files are nowhere else."""

    def __init__(self, tmp_path: Path, cluster: Cluster) -> None:
        (tmp_path / "node").mkdir()
        self.node = LocalNode(tmp_path / "node")
        self.node.fake("hdfs", HDFS)
        self.folder = tmp_path / "fetched"
        self.folder.mkdir()
        self._cluster = cluster
        backend: Any = StandaloneBackend(cluster)
        backend._link = SimpleNamespace(remote=self.node)
        self.backends = Backends.of(cluster)
        self.backends._made["standalone"] = backend

    def job(self, *events: Event, status: str | None = "1", stored: bool = True, **changes: Any) -> None:
        spec = mnist_spec(**changes)
        names = [path.name for path in (spec.solver, spec.net)]
        elsewhere = {"solver": Path("/home/other", names[0]), "net": Path("/home/other", names[1])}
        place = place_of(self._cluster, "mnist-1")
        work = Path(place.work)
        work.mkdir(parents=True)
        for name in names:
            (work / name).write_text(f"of the job: {name}")
        given = spec.model_copy(update=elsewhere)
        Path(place.folder, "job.json").write_text(SubmittedJob(given, "key", place).dump())
        (work / "events.jsonl").write_text("".join(f"{dump(event)}\n" for event in events))
        if status is not None:
            Path(place.folder, "status").write_text(status)
        for event in events if stored else ():
            if isinstance(event, Snapshot):
                self.put(event.state, event.weights)

    def put(self, *uris: str) -> None:
        for uri in uris:
            path = self.node.folder / "state" / "dfs" / uri.removeprefix("hdfs://head:9000/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def resume(self, job: str = "mnist-1", **flags: Any) -> tuple[JobSpec, str]:
        backend, spec, line = resumed(self.backends, job, self.folder, **flags)
        assert backend.name == "standalone"
        return spec, line


@pytest.fixture
def world(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(paths, "JOBS", str(tmp_path / "jobs"))
    return World(tmp_path, cluster)


@pytest.mark.parametrize("status", ["1", "143", "137", None], ids=["failed", "killed", "driver lost", "lost"])
def test_it_is_the_same_job_from_its_newest_snapshot_on(world: World, status: str | None) -> None:
    world.job(AT_200, status=status)

    spec, line = world.resume()

    assert (spec.snapshot, spec.weights) == (AT_200.state, AT_200.weights)
    same = {"solver", "net", "snapshot", "weights"}
    assert spec.model_dump(exclude=same) == mnist_spec().model_dump(exclude=same)
    assert line == f"goes on from iteration 200 of mnist-1: {AT_200.state}"


def test_the_trainer_takes_its_command_line_with_output_in_the_new_jobs_folder(
    world: World, cluster: Cluster
) -> None:
    world.job(AT_200)

    options = parse(trainer_arguments(world.resume()[0], place_of(cluster, "mnist-2")))

    assert options.snapshot == AT_200.state
    assert options.model == "hdfs://head:9000/jobs/mnist-2/mnist.model"
    assert options.output == "hdfs://head:9000/jobs/mnist-2/features"


def test_a_place_that_the_specification_names_stays(world: World) -> None:
    world.job(AT_200, model="hdfs:///models/m", output="hdfs:///results/r")

    spec, _ = world.resume()
    assert (spec.model, spec.output) == ("hdfs:///models/m", "hdfs:///results/r")


def test_its_files_come_from_the_head_since_another_operator_may_have_submitted_it(world: World) -> None:
    world.job(AT_200)

    spec, _ = world.resume()

    assert {spec.solver.parent, spec.net.parent} == {world.folder}
    assert spec.net.read_text() == f"of the job: {spec.net.name}"


def test_without_events_the_snapshots_in_its_folder_of_storage_count(world: World) -> None:
    world.job()
    world.put(AT_200.state, AT_200.weights, f"{OWN}/l_iter_200.feed.json", f"{OWN}/l_iter_300.solverstate")

    assert world.resume()[0].snapshot == AT_200.state


def test_executors_and_iterations_can_be_others(world: World) -> None:
    world.job(AT_200)

    spec, _ = world.resume(executors=1, iterations=400)
    assert (spec.executors, spec.max_iter) == (1, 400)


def test_a_number_that_is_not_valid_is_refused_by_its_flag(world: World) -> None:
    world.job(AT_200)

    with pytest.raises(ConfigError, match="--executors 0"):
        world.resume(executors=0)


def test_a_resumed_job_without_a_snapshot_of_its_own_begins_again_where_it_began(world: World) -> None:
    world.job(weights="hdfs:///w.caffemodel", snapshot="hdfs:///s.solverstate")

    spec, line = world.resume()
    assert (spec.snapshot, spec.weights) == ("hdfs:///s.solverstate", "hdfs:///w.caffemodel")
    assert "left no snapshot of its own: hdfs:///s.solverstate" in line


def test_a_job_whose_training_is_done_scores_its_model(world: World) -> None:
    world.job(AT_200, DONE, final_validation=True)

    spec, line = world.resume()

    assert (spec.train, spec.model, spec.snapshot, spec.weights) == (False, DONE.model, "", "")
    assert (spec.test, spec.features) == (mnist_spec().test, mnist_spec().features)
    assert line == f"scores the model of mnist-1: {DONE.model}"


def test_with_more_iterations_it_trains_on(world: World) -> None:
    world.job(AT_200, DONE)

    spec, _ = world.resume(iterations=4000)
    assert (spec.train, spec.snapshot, spec.max_iter) == (True, AT_200.state, 4000)


def test_where_nothing_but_training_was_asked_for_nothing_is_left(world: World) -> None:
    world.job(AT_200, DONE, test=False, features=(), label="")

    with pytest.raises(JobError, match=rf"training is done, and nothing else was asked of it: {DONE.model}"):
        world.resume()


@pytest.mark.parametrize(
    ("events", "keys", "words"),
    [
        ([], {}, r"it left no snapshot that is whole in storage\. Run it again from the start: `fab submit"),
        ([AT_200], {"stored": False}, "it left no snapshot that is whole"),
        ([AT_200], {"status": "0"}, "it is done: nothing is left .*`fab attach mnist-1 --stack dev`"),
        ([], {"status": "2"}, "it was refused before it did anything"),
        ([], {"train": False, "model": "hdfs:///m"}, "it does not train, so it has no snapshot"),
    ],
)
def test_a_job_without_anything_to_go_on_from_is_refused_with_what_to_do(
    world: World, events: list[Event], keys: dict[str, Any], words: str
) -> None:
    world.job(*events, **keys)

    with pytest.raises(JobError, match=f"job mnist-1: {words}"):
        world.resume()


def test_a_job_that_runs_is_not_resumed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.job(AT_200)
    backend, record = world.backends.find("mnist-1")
    monkeypatch.setattr(backend, "record", lambda _: replace(record, active=True, status=None))

    with pytest.raises(JobError, match=r"it still runs\. Follow it with `fab attach mnist-1 --stack dev`"):
        world.resume()


def test_a_job_that_the_cluster_manager_still_runs_has_to_be_ended_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.job(AT_200)
    monkeypatch.setattr(StandaloneBackend, "unfinished", lambda *_: True)

    with pytest.raises(JobError, match=r"still runs it.*`fab kill mnist-1 --stack dev`"):
        world.resume()


def test_an_unknown_job_is_refused_with_the_ones_there_are(world: World) -> None:
    world.job(AT_200)

    with pytest.raises(JobError, match="'mnist-7': head has no such job; recent jobs: mnist-1"):
        world.resume("mnist-7")


def test_the_record_of_a_resumed_job_can_be_resumed(world: World, cluster: Cluster) -> None:
    world.job(AT_200)
    place = place_of(cluster, "mnist-2")

    again = SubmittedJob.load(SubmittedJob(world.resume()[0], "key", place).dump(), place)

    assert json.loads(again.dump())["spec"]["snapshot"] == AT_200.state


def test_snapshots_that_a_later_job_may_have_replaced_are_not_gone_on_from(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.job(AT_200, model="/models/m.caffemodel")
    assert world.resume()[0].snapshot == AT_200.state
    records = StandaloneBackend.records

    def and_a_later_one(self: StandaloneBackend) -> list[Any]:
        (first,) = records(self)
        place = replace(first.job.place, id="mnist-2")
        return [first, replace(first, job=replace(first.job, place=place), began=first.began + 1)]

    monkeypatch.setattr(StandaloneBackend, "records", and_a_later_one)
    with pytest.raises(JobError) as refused:
        world.resume()
    assert "job mnist-2 has written the same names since (model: /models/m.caffemodel)" in str(refused.value)
    assert "Go on from that one: `fab resume mnist-2 --stack" in str(refused.value)
