"""Training that loses executors: attempts, what each begins from, and when the job gives up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer import contract, newcomers, overseer, recovery, stopping, survivors, training
from jobs.trainer.caffe import elastic, native
from jobs.trainer.caffe.elastic import Resized
from jobs.trainer.errors import TrainerError
from jobs.trainer.newcomers import Newcomers
from jobs.trainer.policy import Policy
from jobs.trainer.restart import Record
from tests.jobs.trainer.stage import MODEL, Driver

SLOTS = (
    "An error occurred while calling o1.collect.\n"
    ": org.apache.spark.scheduler.BarrierJobSlotsNumberCheckFailed: [SPARK-24819]: Barrier execution mode "
    "does not allow run a barrier stage that requires more slots than the total number of slots"
)
LOST = TrainerError("executor-lost", executor="1", host="w2", iteration=0, reason="killed")


class Executors:
    """Executors by id, each on the host w of its number; some of them hang in a task that never ends."""

    def __init__(self) -> None:
        self.there, self.hung, self.replaced = ["0", "1"], set[str](), list[str]()
        self.coming = list[str]()
        """Executors that have registered, and take no tasks yet."""
        self.unproven = set[str]()
        """Executors that have registered late, and completed no task yet."""
        self.given_up, self.now = False, 1e9
        self.cancelled = threading.Event()
        self.looks, self.outside, self.inside = 0, 0, False
        self.names: dict[str, str] = {}
        self.after_replacing: Callable[[], None] = lambda: None

    def ready(self, without: Any = ()) -> list[str]:
        out = {*without, *self.hung, *self.coming}
        return [one for one in self.there if one not in out]

    def busy(self) -> list[str]:
        return [one for one in self.there if one in self.hung]

    def proven(self) -> list[str]:
        return [one for one in self.there if one not in self.unproven]

    def slots(self) -> int:
        return 1

    def active(self) -> dict[str, str]:
        self.outside += not self.inside
        return {one: self.names.get(one, f"10.9.8.{11 + int(one) % 2}") for one in self.there}

    def replace(self, number: str) -> bool:
        self.replaced.append(number)
        self.there.remove(number)
        self.after_replacing()
        return True

    @contextmanager
    def looking(self) -> Iterator[None]:
        self.looks, self.inside = self.looks + 1, True
        yield
        self.inside = False

    def cancel(self) -> None:
        self.cancelled.set()

    def described(self) -> contract.Executors:
        return contract.Executors("app-1", {one: {"host": host} for one, host in self.active().items()})

    def missing(self, size: int) -> TrainerError:
        return TrainerError("executors-missing", requested=size, registered=len(self.there))

    def launching(self, _: object) -> Any:
        from contextlib import nullcontext

        return nullcontext()


class Job:
    """A job of two executors that goes on without one, and the events that it writes."""

    def __init__(self, running: Any, tmp_path: Path) -> None:
        self.running, self.file = running, tmp_path / "events.jsonl"
        self.executors = running.executors = Executors()
        self.stage, self.driver = running.context, Driver()
        self.set(contract.ON_WORKER_LOST_CONF, "shrink")
        self.running.failure = lambda error: error.args[0]
        self.pace, self.validating = 0.0, 0.0
        """Seconds of an iteration; without one 5 for all of an attempt. Of these, seconds of validation."""

    def set(self, name: str, value: str) -> None:
        self.running.conf[name] = value

    def train(self) -> int:
        return training._train(self.running, self.driver)  # type: ignore[arg-type]

    def loses(self, *gone: str, at: int = 200, failure: TrainerError = LOST) -> None:
        """Have the next stage fail at an iteration, and lose executors."""

        def end(_: list[int]) -> dict[str, Any]:
            self.reports(at)
            self.executors.there = [one for one in self.executors.there if one not in gone]
            raise RuntimeError(failure)

        self.stage.ends.append(end)

    def leaves(self, at: int, *noticed: str) -> None:
        """Have the ranks of the next stage leave it at an iteration, some of them for a notice."""

        def end(_: list[int]) -> dict[str, Any]:
            self.reports(at)
            for host in noticed:
                event = contract.Interruption(host, "reclaimed", self.executors.now + 120)
                self.running.journal.add(event)
            self.snapshot(at)
            return {"left": at, "first": 150, "seconds": 1.0}

        self.stage.ends.append(end)

    def leaves_when_asked(self) -> None:
        """Have the ranks of the next stage leave it after iteration 211, when the driver tells them to."""

        def end(_: list[int]) -> dict[str, Any]:
            self.reports(210)
            while "leave" not in self.driver.told:
                pass
            self.snapshot(211)
            return {"left": 211, "first": 150, "seconds": 1.0}

        self.stage.ends.append(end)

    def reports(self, at: int) -> None:
        for rank in range(2):
            event = contract.RankStarted(rank, f"w{rank + 1}", f"10.9.8.{11 + rank}")
            self.running.journal.add(event)
        seconds = self.pace * (at + 1 - 150) if self.pace else 5.0
        self.running.journal.add(contract.Progress(150, 300, seconds=0.0))
        self.running.journal.add(contract.Progress(at, 300, seconds=seconds, validating=self.validating))

    def snapshot(self, at: int, *, timed: bool = True) -> None:
        names = f"hdfs://h/m_iter_{at}"
        event = contract.Snapshot(at, 300, f"{names}.caffemodel", f"{names}.solverstate", timed)
        self.running.journal.add(event)

    def events(self, kind: type) -> list[Any]:
        found = [contract.load(line) for line in self.file.read_text().splitlines()]
        return [event for event in found if type(event) is kind]


@pytest.fixture
def job(running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(survivors, "GRACE_S", 0.0)
    monkeypatch.setattr(survivors, "BUSY_S", 0.0)
    monkeypatch.setattr(native, "protos", lambda: None)

    def resized(job: Any, full: int, ranks: int, _: Any) -> Resized:
        return Resized(job, "" if ranks == full else f"{ranks} of {full}")

    monkeypatch.setattr(recovery, "resized", resized)
    running.job.train.batch = 10
    return Job(running, tmp_path)


def test_training_goes_on_with_the_executors_that_are_left_from_the_newest_snapshot(job: Job) -> None:
    job.snapshot(180)
    job.loses("1")

    assert job.train() == 150

    first, second = job.stage.plans
    assert (first.size, second.size) == (2, 1)
    assert second.snapshot == "hdfs://h/m_iter_180.solverstate"
    assert second.snapshot_name == "m_iter_180.solverstate"
    assert second.weights == ("hdfs://h/m_iter_180.caffemodel",)
    assert second.feed == "hdfs://h/m_iter_180.feed.json"
    assert second.token != first.token
    assert (first.goes_on, second.goes_on) == (False, True)
    (lost,) = job.events(contract.WorkersLost)
    assert (lost.iteration, lost.hosts, lost.code, lost.reason) == (
        200,
        ["w2"],
        "executor-lost",
        "it was lost at about iteration 0: killed",
    )
    (again,) = job.events(contract.Recovery)
    assert (again.generation, again.iteration, again.lost_iterations) == (2, 180, 20)
    assert (again.executors, again.wanted, again.rule, again.hosts) == (1, 2, "1 of 2", ["10.9.8.11"])


@pytest.mark.parametrize("kind", ["caffemodel", "feed.json", "solverstate"])
def test_a_snapshot_that_is_not_whole_any_more_is_none(job: Job, kind: str) -> None:
    job.snapshot(160, timed=False)
    job.snapshot(180)
    job.running.files.missing = {f"hdfs://h/m_iter_180.{kind}"}
    job.loses("1")

    job.train()

    assert job.stage.plans[1].snapshot == "hdfs://h/m_iter_160.solverstate"
    (again,) = job.events(contract.Recovery)
    assert (again.iteration, again.lost_iterations) == (160, 40)


def test_the_newest_snapshot_is_taken_where_storage_does_not_say_whether_it_is_there(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = job.running.files.exists

    def sometimes(uri: str) -> bool:
        if uri.endswith("caffemodel"):
            raise TrainerError("storage-failed", uri=uri, action="looked up", reason="no NameNode")
        return bool(exists(uri))

    monkeypatch.setattr(job.running.files, "exists", sometimes)
    job.snapshot(180)
    job.loses("1")

    job.train()

    assert job.stage.plans[1].snapshot == "hdfs://h/m_iter_180.solverstate"


def test_without_a_snapshot_training_begins_again_where_it_began(job: Job) -> None:
    job.loses("1")

    assert job.train() == 150

    assert job.stage.plans[1].snapshot == "hdfs://h/a.solverstate"
    (again,) = job.events(contract.Recovery)
    assert (again.iteration, again.lost_iterations) == (150, 50)


def test_an_attempt_that_ends_before_an_iteration_does_not_tell_where_training_began(job: Job) -> None:
    def early(_: list[int]) -> dict[str, Any]:
        raise RuntimeError(LOST)

    job.stage.ends.append(early)
    job.loses("1")

    assert job.train() == 150, "the iteration of the snapshot that was given"

    (trained,) = job.events(contract.Trained)
    assert trained.iterations == 150


def test_only_the_newest_attempt_may_write_and_nothing_is_left_of_its_number(job: Job) -> None:
    def end(_: list[int]) -> dict[str, Any]:
        job.reports(200)
        job.running.files.texts[f"{MODEL}{job.stage.plans[0].fence.part}"] = "of a rank that was lost"
        job.executors.there = ["0"]
        raise RuntimeError(LOST)

    job.stage.ends.append(end)

    job.train()

    first, second = (plan.fence for plan in job.stage.plans)
    assert (first.generation, second.generation) == (1, 2)
    assert job.running.files.written == [first.text, second.text]
    assert first.uri == f"{MODEL}.generation"
    assert job.running.files.texts == {}


def test_an_earlier_training_of_the_same_model_may_not_write(job: Job) -> None:
    job.train()
    job.train()

    first, second = (plan.fence for plan in job.stage.plans)
    assert first.generation == second.generation
    assert first.text != second.text


def test_the_clocks_snapshots_are_removed_when_all_ranks_have_ended(job: Job) -> None:
    files = job.running.files
    files.texts = {"hdfs://h/m_iter_200.solverstate": "", "hdfs://h/m_iter_100.solverstate": ""}
    done = {"first": 150, "seconds": 1.0, "images": 1, "sha256": "x", "waited_seconds": 0.0}
    job.stage.ends.append(lambda _: {**done, "obsolete": ["hdfs://h/m_iter_200.solverstate"]})

    job.train()

    assert list(files.texts) == ["hdfs://h/m_iter_100.solverstate"]


def test_a_file_that_cannot_be_removed_does_not_end_a_job_that_is_trained(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(uri: str) -> None:
        raise TrainerError("storage-failed", uri=uri, action="removed", reason="no NameNode")

    monkeypatch.setattr(job.running.files, "remove", refuse)

    assert job.train() == 150


def test_figures_are_of_all_attempts_without_iterations_that_were_done_again(job: Job) -> None:
    job.snapshot(180)
    job.loses("1")

    job.train()

    (trained,) = job.events(contract.Trained)
    # 30 iterations of 2 ranks, 10 records and iter_size 4 are kept; the stand-in's rank says 10 more.
    assert (trained.iterations, trained.images) == (150, 30 * 2 * 10 * 4 + 10)
    # 51 iterations took 5 s, and the last attempt one.
    assert (trained.seconds, trained.lost_seconds) == pytest.approx((5 * 30 / 51 + 1, 5 * 21 / 51))
    assert trained.images_per_s == pytest.approx(trained.images / trained.seconds)


def test_speed_is_the_same_with_a_loss_as_without_one(job: Job) -> None:
    """An iteration takes 0.1 s before the loss and after it."""
    images = 2 * 10 * 4
    job.snapshot(180)
    job.loses("1", at=249)
    done = {"first": 180, "seconds": 12.0, "images": 120 * images, "sha256": "x", "waited_seconds": 0.0}
    job.stage.ends.append(lambda _: done)
    job.pace = 0.1

    job.train()

    (trained,) = job.events(contract.Trained)
    assert trained.images_per_s == pytest.approx(images / 0.1)
    assert (trained.seconds, trained.lost_seconds) == pytest.approx((15.0, 7.0))


def test_validation_before_a_loss_is_no_training(job: Job) -> None:
    job.snapshot(180)
    job.loses("1")
    job.validating = 3.0

    job.train()

    (trained,) = job.events(contract.Trained)
    assert trained.seconds + trained.lost_seconds == pytest.approx(2.0 + 1)


def test_ranks_that_leave_tell_their_own_seconds(job: Job) -> None:
    job.leaves(231)

    job.train()

    (trained,) = job.events(contract.Trained)
    assert (trained.seconds, trained.lost_seconds) == (2.0, 0.0)


class Kept:
    """Records of a job for a driver that begins again."""

    def __init__(self, earlier: Record | None = None) -> None:
        self.earlier, self.written = earlier, list[Record]()
        self.keep = self.written.append


def test_a_driver_that_begins_again_goes_on_from_what_the_lost_one_has_kept(job: Job) -> None:
    snapshot = contract.Snapshot(180, 300, "hdfs://h/s.caffemodel", "hdfs://h/s.solverstate", True)
    rounds = [contract.Validation(at, 300, {"accuracy": [0.5]}) for at in (160, 190)]
    job.running.records = Kept(Record(2, ("old",), 150, 200, 2400, 5.0, (snapshot,), tuple(rounds)))
    job.running.files.texts[f"{MODEL}.2-old.part"] = "of a rank of the lost driver"

    assert job.train() == 150

    (plan,) = job.stage.plans
    assert (plan.fence.generation, plan.snapshot, plan.goes_on) == (3, snapshot.state, True)
    (lost,) = job.events(contract.WorkersLost)
    assert (lost.iteration, lost.hosts, lost.driver) == (200, [], True)
    (again,) = job.events(contract.Recovery)
    assert (again.generation, again.iteration, again.lost_iterations) == (3, 180, 20)
    (trained,) = job.events(contract.Trained)
    assert (trained.iterations, trained.images, trained.seconds) == (150, 2400 + 2 * 10, 6.0)
    assert [one.iteration for one in job.running.journal.validations] == [160]
    assert job.running.files.texts == {}


def test_a_lost_driver_whose_newest_snapshot_is_gone_leaves_the_figures_of_the_one_before(job: Job) -> None:
    older, newest = (
        contract.Snapshot(at, 300, f"hdfs://h/{at}.caffemodel", f"hdfs://h/{at}.solverstate", True)
        for at in (160, 190)
    )
    job.running.files.missing = {newest.state}
    job.running.records = Kept(Record(2, ("old",), 150, 200, 4000, 8.0, (older, newest)))

    job.train()

    (trained,) = job.events(contract.Trained)
    # Of 40 iterations that the record has figures of, 10 count.
    assert (trained.images, trained.seconds) == (1000 + 2 * 10, 2.0 + 1.0)


def test_a_lost_driver_without_a_snapshot_is_followed_from_where_training_began(job: Job) -> None:
    job.running.records = Kept(Record(1, ("old",), 150, 170))

    assert job.train() == 150

    assert job.stage.plans[0].snapshot == "hdfs://h/a.solverstate"
    (again,) = job.events(contract.Recovery)
    assert (again.generation, again.iteration, again.lost_iterations) == (2, 150, 20)
    (trained,) = job.events(contract.Trained)
    assert trained.images == 2 * 10, "none of those before the snapshot that was given"


def test_training_that_a_lost_driver_has_done_is_not_done_again(job: Job) -> None:
    done = contract.Trained(150, 6000, 9.0, model=MODEL)
    rounds = (contract.Validation(200, 300, {"accuracy": [0.5]}),)
    job.running.files.texts = {"hdfs://h/s.solverstate": ""}
    obsolete = ("hdfs://h/s.solverstate",)
    job.running.records = Kept(Record(1, ("old",), 150, 300, 0, 0.0, (), rounds, done, obsolete))

    assert job.train() == 150

    assert job.stage.plans == []
    assert job.events(contract.Trained) == [done]
    assert [one.iteration for one in job.running.journal.validations] == [200]
    assert job.running.files.texts == {}


def test_what_a_driver_that_follows_needs_is_kept_while_training_goes_on(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overseer, "PERIOD_S", 0.001)
    kept = job.running.records = Kept()

    def end(_: list[int]) -> dict[str, Any]:
        job.reports(200)
        job.snapshot(180)
        while not (kept.written and kept.written[-1].snapshots):
            pass
        job.executors.there = ["0"]
        raise RuntimeError(LOST)

    job.stage.ends.append(end)

    job.train()

    during = next(one for one in kept.written if one.snapshots)
    assert (during.generation, during.origin, during.reached) == (1, 150, 200)
    assert during.images == 30 * 2 * 10 * 4
    assert during.seconds == pytest.approx(5 * 30 / 51)
    last = kept.written[-1]
    assert last.trained is not None
    assert (last.origin, last.trained.images) == (150, 30 * 2 * 10 * 4 + 10)


def test_a_tick_of_the_wait_is_one_look_at_the_executors(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survivors, "_TICK", 0.0)
    job.executors.hung.add("1")
    job.executors.after_replacing = lambda: job.executors.there.append("2")
    waiting = survivors.Survivors(job.running, Policy("wait"))
    waiting.leave({"w9"}, 0.0)
    before, job.executors.outside = job.executors.looks, 0

    assert waiting.wait(None) == ["0", "2"]

    assert job.executors.looks - before >= 2
    assert job.executors.outside == 0


def test_an_executor_that_hangs_is_replaced(job: Job) -> None:
    job.executors.hung.add("1")
    job.executors.after_replacing = lambda: job.executors.there.append("2")
    job.loses(failure=TrainerError("rank-lost", ranks="rank 1 on w2", iteration=3))

    job.train()

    assert job.executors.replaced == ["1"]
    assert job.stage.plans[1].size == 2


@pytest.mark.parametrize("given_up", [True, False])
def test_executors_that_are_lost_before_the_stage_begins_are_a_loss(job: Job, *, given_up: bool) -> None:
    def end(_: list[int]) -> dict[str, Any]:
        job.executors.there, job.executors.given_up = ["0"], given_up
        raise RuntimeError("cancelled" if given_up else SLOTS)

    job.stage.ends.append(end)
    job.stage.ends.append(end)

    job.train()

    assert [plan.size for plan in job.stage.plans] == [2, 1, 1]
    assert [event.code for event in job.events(contract.WorkersLost)] == ["executors-missing"] * 2


def test_an_executor_that_registers_is_waited_for_and_not_replaced(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.executors.coming = ["1"]
    monkeypatch.setattr(survivors, "BUSY_S", -1.0)
    monkeypatch.setattr(time, "sleep", lambda _: job.executors.coming.clear())
    job.loses(failure=TrainerError("rank-lost", ranks="rank 1 on w2", iteration=3))

    job.train()

    assert job.executors.replaced == []
    assert job.stage.plans[1].size == 2


def test_a_noticed_executor_is_left_and_not_taken_again(job: Job) -> None:
    job.leaves(220, "w2")
    job.leaves(230)

    job.train()

    assert job.executors.replaced == ["1"]
    assert [plan.size for plan in job.stage.plans] == [2, 1, 1]
    (lost,) = job.events(contract.WorkersLost)
    assert (lost.iteration, lost.hosts, lost.code, lost.reason) == (220, ["w2"], "", "reclaimed")
    assert [event.lost_iterations for event in job.events(contract.Recovery)] == [0, 0]
    assert job.stage.plans[1].timed == (
        tuple(f"hdfs://h/m_iter_220.{kind}" for kind in ("caffemodel", "feed.json", "solverstate")),
    )


def test_a_noticed_executor_is_left_where_another_one_is_lost_first(job: Job) -> None:
    def end(_: list[int]) -> dict[str, Any]:
        job.reports(200)
        job.running.journal.add(contract.Interruption("w2", "reclaimed", job.executors.now + 120))
        raise RuntimeError(TrainerError("rank-lost", ranks="rank 0 on w1", iteration=200))

    job.stage.ends.append(end)

    job.train()

    assert job.executors.replaced == ["1"]
    assert [plan.size for plan in job.stage.plans] == [2, 1]


@pytest.mark.parametrize("name", ["10.9.8.12", "w2", "w2.internal"])
def test_a_noticed_node_is_known_by_each_of_its_names(job: Job, name: str) -> None:
    job.executors.names["1"] = name
    job.leaves(220, "w2")

    job.train()

    assert job.executors.replaced == ["1"]


def test_no_executor_of_a_noticed_node_is_taken_until_the_node_has_gone(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: job.executors.now)
    job.executors.after_replacing = lambda: job.executors.there.append("3")  # on the same node
    job.leaves(220, "w2")

    def later(_: list[int]) -> dict[str, Any]:
        job.executors.now += 121
        return {"left": 230, "first": 220, "seconds": 1.0}

    job.stage.ends.append(later)

    job.train()

    assert [plan.size for plan in job.stage.plans] == [2, 1, 2]


def test_a_job_that_waits_takes_as_many_executors_as_before(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.set(contract.ON_WORKER_LOST_CONF, "wait")
    job.loses("1")
    pauses: list[float] = []

    def later(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            job.executors.there.append("2")

    monkeypatch.setattr(time, "sleep", later)
    job.train()

    assert job.stage.plans[1].size == 2
    assert job.events(contract.Recovery)[0].rule == ""


@pytest.mark.parametrize(("policy", "least", "words"), [("wait", 1, "1 of 2 "), ("shrink", 2, "1 of 2 ")])
def test_executors_that_do_not_come_in_time_end_the_job_with_its_snapshot(
    job: Job, policy: str, least: int, words: str
) -> None:
    job.set(contract.ON_WORKER_LOST_CONF, policy)
    job.set(contract.MIN_EXECUTORS_CONF, str(least))
    job.set(contract.REPLACEMENT_LIMIT_CONF, "0")
    job.snapshot(180)
    job.loses("1")

    with pytest.raises(TrainerError, match="others did not register") as failed:
        job.train()

    assert words + "executors: others did not register within 0 s" in str(failed.value)
    assert "hdfs://h/m_iter_180.solverstate" in str(failed.value)


def test_a_job_that_is_to_fail_fails_at_once(job: Job) -> None:
    job.set(contract.ON_WORKER_LOST_CONF, "fail")
    job.loses("1")

    with pytest.raises(TrainerError) as failed:
        job.train()

    assert failed.value is LOST
    assert job.events(contract.WorkersLost) == []


def test_a_job_that_is_to_fail_ends_at_a_notice_with_its_snapshot(job: Job) -> None:
    job.set(contract.ON_WORKER_LOST_CONF, "fail")
    job.leaves(220, "w2")

    with pytest.raises(TrainerError) as failed:
        job.train()

    assert "it was stopped at iteration 220: notice on w2: reclaimed" in str(failed.value)
    assert "hdfs://h/m_iter_220.solverstate" in str(failed.value)
    assert len(job.stage.plans) == 1


@pytest.mark.parametrize("origin", [contract.OWN, contract.NATIVE])
def test_a_failure_of_a_ranks_own_is_not_tried_again(job: Job, origin: str) -> None:
    own = TrainerError("rank-failed", rank=1, host="w2", reason="Check failed")
    job.running.journal.add(contract.RankFailed(1, "w2", origin, "Check failed"))
    job.loses(failure=own)

    with pytest.raises(TrainerError) as failed:
        job.train()

    assert failed.value is own


def test_a_process_that_dies_again_and_again_without_an_iteration_between_ends_the_job(job: Job) -> None:
    died = TrainerError("rank-failed", rank=1, host="w2", reason="the worker process died")
    for _ in range(9):
        job.loses(failure=died)

        def silent(end: Any) -> Any:
            def told(ranks: list[int]) -> Any:
                job.running.journal.add(contract.RankFailed(1, "w2", contract.SILENT, "died"))
                return end(ranks)

            return told

        job.stage.ends[-1] = silent(job.stage.ends[-1])

    with pytest.raises(TrainerError) as failed:
        job.train()

    assert failed.value is died
    assert len(job.stage.plans) == 1 + recovery.MOST_FRUITLESS


def test_losses_between_newer_snapshots_are_not_fruitless(job: Job) -> None:
    job.loses(at=290)
    for at in (200, 210, 220, 230, 240):

        def end(_: list[int], at: int = at) -> dict[str, Any]:
            job.snapshot(at)
            job.reports(at + 5)
            raise RuntimeError(LOST)

        job.stage.ends.append(end)

    job.train()

    assert len(job.stage.plans) == 7


def test_a_job_that_was_asked_to_end_waits_for_no_executors(job: Job) -> None:
    job.set(contract.CONTROL_CONF, "hdfs://h/jobs/j")
    job.running.files.texts["hdfs://h/jobs/j/stop"] = "the budget is spent\n"
    job.snapshot(180)
    job.loses("0", "1")

    with pytest.raises(TrainerError) as stopped:
        job.train()

    assert "it was stopped at iteration 200: the budget is spent" in str(stopped.value)
    assert "hdfs://h/m_iter_180.solverstate" in str(stopped.value)


def test_a_job_that_is_asked_to_end_while_it_waits_does_so(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.set(contract.CONTROL_CONF, "hdfs://h/jobs/j")
    job.running.files.missing = {"hdfs://h/jobs/j/stop"}
    monkeypatch.setattr(survivors, "CHECK_S", 0.0)

    def later(_: float) -> None:
        job.running.files.missing = set()
        job.running.files.texts["hdfs://h/jobs/j/stop"] = "the budget is spent\n"

    monkeypatch.setattr(time, "sleep", later)
    job.loses("0", "1")

    with pytest.raises(TrainerError) as stopped:
        job.train()

    assert "it was stopped at iteration 200: the budget is spent" in str(stopped.value)


def test_validations_that_are_done_again_count_once(job: Job) -> None:
    job.snapshot(180)
    for iteration in (170, 180, 190):
        job.running.journal.add(contract.Validation(iteration, 300, {"accuracy": [0.5]}))
    job.loses("1")

    job.train()

    assert [one.iteration for one in job.running.journal.validations] == [170]


def test_ranks_of_an_attempt_that_is_over_are_heard_until_the_next_one_is_planned(job: Job) -> None:
    job.loses("1")
    # An upload became complete while the driver waited for executors.
    job.driver.renewed = lambda: job.snapshot(190)

    job.train()

    assert job.stage.plans[1].snapshot == "hdfs://h/m_iter_190.solverstate"


def test_a_job_that_was_asked_to_end_ends_with_its_snapshot(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.trainer import overseer

    monkeypatch.setattr(overseer, "PERIOD_S", 0.001)
    monkeypatch.setattr(stopping, "PERIOD_S", 0.0)
    job.set(contract.CONTROL_CONF, "hdfs://h/jobs/j")
    job.running.files.texts["hdfs://h/jobs/j/stop"] = "the budget is spent\n"

    job.leaves_when_asked()

    with pytest.raises(TrainerError) as stopped:
        job.train()

    assert stopped.value.code == "stopped"
    assert "it was stopped at iteration 211: the budget is spent" in str(stopped.value)
    assert "hdfs://h/m_iter_211.solverstate" in str(stopped.value)


def test_executors_that_register_are_taken_when_the_ranks_have_stopped_for_them(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.trainer import overseer

    monkeypatch.setattr(overseer, "PERIOD_S", 0.001)
    job.loses("1")

    def end(_: list[int]) -> dict[str, Any]:
        job.reports(230)
        job.executors.hung = {"0"}
        job.executors.there.append("2")
        while "regroup" not in job.driver.told:
            pass
        job.executors.hung = set()
        job.snapshot(231)
        return {"left": 231, "first": 150, "seconds": 1.0}

    job.stage.ends.append(end)

    job.train()

    assert [plan.size for plan in job.stage.plans] == [2, 1, 2]
    assert len(job.events(contract.WorkersLost)) == 1
    assert [event.executors for event in job.events(contract.Recovery)] == [1, 2]


def test_a_rank_that_hangs_before_the_first_progress_is_replaced(job: Job) -> None:
    def end(_: list[int]) -> dict[str, Any]:
        job.executors.hung, job.executors.unproven = {"1"}, {"0", "1"}
        job.executors.after_replacing = job.executors.unproven.clear
        raise RuntimeError(LOST)

    job.stage.ends.append(end)
    job.train()
    assert job.executors.replaced == ["1"]


def hangs(job: Job, monkeypatch: pytest.MonkeyPatch, *events: contract.Event) -> None:
    """Have the ranks of the next stage report these, and then wait until the driver ends the stage."""
    from jobs.trainer import overseer
    from jobs.trainer.running import RunningJob

    monkeypatch.setattr(overseer, "PERIOD_S", 0.001)
    monkeypatch.setattr("jobs.trainer.running.LATE_REPORTS_S", 0.0)
    del job.running.failure
    job.running.failure = lambda error: RunningJob.failure(job.running, error)
    job.executors.removed = list  # type: ignore[attr-defined]
    job.set(contract.TIMEOUT_CONF, "0.02")

    def end(_: list[int]) -> dict[str, Any]:
        for event in events:
            job.running.journal.add(event)
        assert job.executors.cancelled.wait(30)
        raise RuntimeError("Job 1 cancelled as part of cancellation of all jobs")

    job.stage.ends.append(end)


def test_a_rank_that_hangs_before_ranks_are_connected_is_named_and_training_goes_on(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = [contract.RankStarted(rank, f"w{rank + 1}", f"10.9.8.{11 + rank}") for rank in range(2)]
    hangs(job, monkeypatch, *ranks, contract.RankStep(0, contract.CONNECTING))

    job.train()

    (lost,) = job.events(contract.WorkersLost)
    assert (lost.code, lost.hosts) == ("rank-hung", ["w2"])
    assert lost.reason.startswith("it did not answer for 0 s while building its nets")
    assert job.running.journal.silence.hung is None


def test_a_rank_alone_that_hangs_is_named_and_its_job_goes_on(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.running.size = job.running.ranks = 1
    job.executors.there, job.executors.hung = ["0"], {"0"}
    job.executors.after_replacing = lambda: job.executors.there.append("1")
    steps = (contract.LOADING, contract.CONNECTING, contract.BEGINNING)
    begun = [contract.RankStarted(0, "w1", "10.9.8.11"), *(contract.RankStep(0, step) for step in steps)]
    hangs(job, monkeypatch, *begun, contract.Progress(150, 300), contract.Progress(200, 300, seconds=5.0))

    job.train()

    (lost,) = job.events(contract.WorkersLost)
    assert (lost.code, lost.hosts, lost.iteration) == ("rank-hung", ["w1"], 200)
    assert " s while training, at about iteration 200" in lost.reason
    assert (job.executors.replaced, len(job.stage.plans)) == (["0"], 2)


def test_a_rank_alone_whose_events_do_not_arrive_is_not_ended(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.trainer import overseer

    monkeypatch.setattr(overseer, "PERIOD_S", 0.001)
    job.driver.connected = False
    job.running.size = job.running.ranks = 1
    job.set(contract.TIMEOUT_CONF, "0.001")

    def end(_: list[int]) -> dict[str, Any]:
        job.running.journal.add(contract.RankStarted(0, "w1", "10.9.8.11"))
        job.running.journal.add(contract.Progress(150, 300))
        assert not job.executors.cancelled.wait(0.1)
        return {"first": 150, "seconds": 1.0, "images": 10, "sha256": "x", "waited_seconds": 0.0}

    job.stage.ends.append(end)
    job.train()
    assert len(job.stage.plans) == 1


def test_training_goes_on_without_a_new_executor_whose_node_is_not_ready(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Newcomers, "_wait", lambda *_: None)
    monkeypatch.setattr(survivors, "READY_S", 0.0)
    monkeypatch.setattr(newcomers, "TOLD_S", 0.0)
    job.loses("1")
    job.executors.there.append("2")
    job.executors.unproven = {"2"}

    job.train()

    assert [plan.size for plan in job.stage.plans] == [2, 1]
    (note,) = job.events(contract.Note)
    assert note.message == survivors.UNREADY.format("10.9.8.11")
    assert not job.executors.replaced


def full(job: Job, monkeypatch: pytest.MonkeyPatch, times: int) -> list[float]:
    """Have shared storage refuse the marks of that many attempts after the first one; return the pauses."""
    write, paused, left = job.running.files.write, list[float](), [times]

    def refuse(uri: str, text: str) -> None:
        if not text.startswith("1-") and left[0]:
            left[0] -= 1
            raise TrainerError("storage-failed", uri=uri, action="written", reason="quota exceeded")
        write(uri, text)

    monkeypatch.setattr(job.running.files, "write", refuse, raising=False)
    monkeypatch.setattr(time, "sleep", paused.append)
    return paused


def test_training_goes_on_when_storage_that_was_full_has_room_again(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = full(job, monkeypatch, times=2)
    job.loses("1")

    job.train()

    assert [plan.size for plan in job.stage.plans] == [2, 1]
    assert [pause for pause in paused if pause >= 1] == [2.0, 5.0]
    told = job.events(contract.UploadFailed)
    assert [(event.reason, event.attempt, event.retry_s) for event in told] == [
        ("quota exceeded", 1, 2.0),
        ("quota exceeded", 2, 5.0),
    ]


def test_storage_that_stays_full_ends_the_job_with_its_snapshot(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(job, monkeypatch, times=100)

    def end(_: list[int]) -> dict[str, Any]:
        job.snapshot(200)
        raise RuntimeError(LOST)

    job.stage.ends.append(end)
    with pytest.raises(TrainerError) as stopped:
        job.train()

    assert stopped.value.code == "attempt-not-marked"
    assert "attempt 2 at this training" in str(stopped.value)
    assert "quota exceeded" in str(stopped.value)
    assert "Resume from iteration 200 with -snapshot" in str(stopped.value)


def test_storage_that_is_full_at_the_start_ends_the_job_at_once(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(uri: str, _: str) -> None:
        raise TrainerError("storage-failed", uri=uri, action="written", reason="quota exceeded")

    monkeypatch.setattr(job.running.files, "write", refuse, raising=False)
    with pytest.raises(TrainerError) as stopped:
        job.train()
    assert stopped.value.code == "storage-failed"
    assert not job.events(contract.UploadFailed)


def test_a_new_executor_has_a_while_to_become_ready(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Newcomers, "_wait", lambda *_: None)
    monkeypatch.setattr(time, "sleep", lambda _: job.executors.unproven.clear())
    job.loses("1")
    job.executors.there.append("2")
    job.executors.unproven = {"2"}

    job.train()

    assert [plan.size for plan in job.stage.plans] == [2, 2]


def test_ranks_are_not_told_to_stop_for_a_new_executor_whose_node_is_not_ready(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.trainer import overseer

    looks = threading.Semaphore(0)
    monkeypatch.setattr(Newcomers, "_wait", lambda *_: None)
    monkeypatch.setattr(overseer, "PERIOD_S", 0.001)

    def proven() -> list[str]:
        looks.release()
        return ["0"]

    monkeypatch.setattr(job.executors, "proven", proven)
    job.loses("1")

    def end(_: list[int]) -> dict[str, Any]:
        job.reports(230)
        job.executors.hung = {"0"}
        job.executors.there.append("2")
        for _look in range(20):
            assert looks.acquire(timeout=10)
        assert "regroup" not in job.driver.told
        job.executors.hung = set()
        raise RuntimeError(TrainerError("training-diverged", iteration=230, loss="nan"))

    job.stage.ends.append(end)

    with pytest.raises(TrainerError):
        job.train()


def test_a_look_that_spark_does_not_answer_is_taken_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.trainer import overseer

    monkeypatch.setattr(overseer, "PERIOD_S", 0.001)
    answers = job.executors.busy
    fails = [True, True]

    def busy() -> list[str]:
        if fails:
            fails.pop()
            raise RuntimeError("An error occurred while calling o1.sc")
        return answers()

    job.set(contract.CONTROL_CONF, "hdfs://h/jobs/j")
    job.running.files.texts["hdfs://h/jobs/j/stop"] = "the budget is spent\n"
    monkeypatch.setattr(job.executors, "busy", busy)

    job.leaves_when_asked()
    with pytest.raises(TrainerError, match="the budget is spent"):
        job.train()
    assert not fails


def test_the_rule_of_another_number_of_ranks_is_elastics() -> None:
    assert vars(recovery)["resized"] is elastic.resized


def test_ranks_that_have_trained_tell_nothing_once_the_job_scores(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    job.driver.renewed = lambda: order.append("renewed")
    monkeypatch.setattr(job.driver, "drain", lambda _: order.append("drained"))
    monkeypatch.setattr(job.running.files, "make_folder", lambda _: None, raising=False)
    monkeypatch.setattr(training, "_write_rounds", lambda *_: order.append("rounds"))

    training.train(job.running, job.driver)  # type: ignore[arg-type]

    assert order == ["drained", "renewed", "rounds"]
