"""Newest whole snapshot of a job, and how its errors name it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bootstrap.errors import JobError
from jobs.job import JobPlace, SubmittedJob
from jobs.report.history import History
from jobs.report.progress import FailedJob
from jobs.run import snapshots
from jobs.run.snapshots import advised, in_folder
from jobs.trainer.contract import FAILED, KILLED, REFUSED, Event, Failed, Snapshot, Trained, dump, start_of
from tests.jobs.specs import mnist_spec

OWN = "hdfs://head:9000/jobs/mnist-1"


def snapshot(iteration: int, folder: str = OWN) -> Snapshot:
    stem = f"{folder}/lenet_iter_{iteration}"
    return Snapshot(iteration, weights=f"{stem}.caffemodel", state=f"{stem}.solverstate")


def files(*iterations: int, suffix: str = "") -> list[str]:
    kinds = (f".caffemodel{suffix}", f".solverstate{suffix}", ".feed.json")
    return [f"lenet_iter_{iteration}{kind}" for iteration in iterations for kind in kinds]


class Storage:
    """A backend with these events, and these files by folder; folders elsewhere are not seen."""

    def __init__(self, *events: Event, **folders: list[str]) -> None:
        self._lines = [dump(event) for event in events]
        self._folders = {OWN: [], **{name.replace("_", "/"): names for name, names in folders.items()}}
        self.asked: list[str] = []

    def events(self, _: SubmittedJob, kinds: Sequence[type[Event]], on_line: Any) -> bool:
        for line in self._lines:
            if line.startswith(tuple(map(start_of, kinds))):
                on_line(line)
        return True

    def stored(self, folder: str) -> list[str] | None:
        self.asked.append(folder)
        return self._folders.get(folder)

    def put(self, folder: str, names: list[str]) -> Storage:
        self._folders[folder] = names
        return self


def job(**changes: Any) -> SubmittedJob:
    return SubmittedJob(mnist_spec(**changes), "key", JobPlace("mnist-1", "/jobs/mnist-1", OWN))


def newest(storage: Any, **changes: Any) -> Snapshot | None:
    given = job(**changes)
    return snapshots.newest(storage, given, snapshots.told(storage, given))


def test_the_last_snapshot_that_the_events_name_is_the_newest() -> None:
    storage = Storage(snapshot(100), Failed(), snapshot(200)).put(OWN, files(100, 200))

    assert newest(storage) == snapshot(200)


def test_one_that_was_removed_since_is_passed_over() -> None:
    storage = Storage(snapshot(100), snapshot(200)).put(OWN, [*files(100), "lenet_iter_200.solverstate"])

    assert newest(storage) == snapshot(100)
    assert storage.asked == [OWN], "one listing for a folder"


def test_without_events_the_jobs_own_folder_tells() -> None:
    assert newest(Storage().put(OWN, files(300, 1000, 200))) == snapshot(1000)


def test_a_snapshot_that_lacks_one_of_its_files_is_not_whole() -> None:
    whole = files(100)
    for missing in files(200):
        assert in_folder(OWN, [*whole, *(name for name in files(200) if name != missing)]) == snapshot(100)


def test_in_the_format_of_hdf5_the_names_have_its_suffix() -> None:
    found = in_folder(OWN, files(100, suffix=".h5"))

    assert found is not None
    assert (found.weights, found.state) == (
        f"{OWN}/lenet_iter_100.caffemodel.h5",
        f"{OWN}/lenet_iter_100.solverstate.h5",
    )


def test_another_folder_may_hold_another_jobs_snapshots() -> None:
    """The model's folder is the user's choice: without events nothing says whose the files there are."""
    shared = "hdfs://head:9000/models"

    assert newest(Storage().put(shared, files(500)), model=f"{shared}/lenet.model") is None
    there = Storage(snapshot(400, shared)).put(shared, files(400, 500))
    assert newest(there, model=f"{shared}/lenet.model") == snapshot(400, shared)


def test_of_storage_that_cannot_be_seen_from_here_the_event_is_believed() -> None:
    assert newest(Storage(snapshot(100, "s3a://other/x"))) == snapshot(100, "s3a://other/x")


def test_a_job_without_snapshots_has_none() -> None:
    assert newest(Storage()) is None


# ---- words


def said(*events: Event, code: int = FAILED, error: JobError | None = None, **changes: Any) -> str:
    error = error or JobError("job mnist-1", "it failed", "Run `fab doctor`. The full log: /r/job.log")
    return str(advised(error, job(**changes), History(events), code=code, stack="dev"))


def test_an_error_names_the_newest_snapshot_and_the_command_before_the_log() -> None:
    assert said(snapshot(100), snapshot(200)) == (
        f"job mnist-1: it failed. Run `fab doctor`. Resume from iteration 200 with -snapshot "
        f"{snapshot(200).state} -weights {snapshot(200).weights}: `fab resume mnist-1 --stack dev`. "
        "The full log: /r/job.log"
    )


def test_what_the_error_says_already_is_not_said_again() -> None:
    fix = f"Resume from iteration 200 with -snapshot {snapshot(200).state} -weights w. The full log: /r"
    text = said(snapshot(200), error=FailedJob("rank 0", "it was lost", fix, advises=True))

    assert text.count(snapshot(200).state) == 1
    assert text.endswith("-weights w. `fab resume mnist-1 --stack dev` goes on from there. The full log: /r")


def test_without_a_snapshot_it_says_so_once() -> None:
    assert said() == (
        "job mnist-1: it failed. Run `fab doctor`. There is no snapshot to resume from. "
        "The full log: /r/job.log"
    )
    error = FailedJob("hdfs:///m", "it cannot be stored", "Look. There is none.", advises=True)
    assert said(error=error).endswith("Look. There is none.")


def test_what_a_reason_says_of_snapshots_is_not_what_the_job_says() -> None:
    """A reason may be a line of the user's own program."""
    error = FailedJob("job mnist-1", "it ended with status 1: no snapshot of the market data", "Look.")
    assert said(error=error).endswith("Look. There is no snapshot to resume from.")


def test_a_reason_that_names_the_snapshot_does_not_replace_the_command_that_goes_on() -> None:
    state = snapshot(200).state
    error = FailedJob("job mnist-1", f"{state}: no space", "Look.")
    assert f"with -snapshot {state} -weights" in said(snapshot(200), error=error)


def test_a_job_that_was_resumed_itself_goes_on_where_it_began() -> None:
    text = said(weights="hdfs:///w.caffemodel", snapshot="hdfs:///s.solverstate")

    assert "It has no snapshot after hdfs:///s.solverstate, where it began: `fab resume mnist-1" in text


def test_of_a_job_whose_training_is_done_the_model_counts() -> None:
    text = said(snapshot(100), Trained(model=f"{OWN}/mnist.model"))

    assert f"score {OWN}/mnist.model without -train: `fab resume mnist-1 --stack dev`." in text
    assert "iteration 100" not in text


def test_a_killed_job_can_be_resumed_too() -> None:
    error = JobError("job mnist-1", "it was killed", "Submit it again to rerun it.")

    text = said(snapshot(100), code=KILLED, error=error)
    assert text.startswith("job mnist-1: it was killed. Submit it again to rerun it. Resume from iteration 1")
    assert text.endswith("`fab resume mnist-1 --stack dev`.")


def test_a_refusal_that_only_the_event_tells_is_one() -> None:
    assert "snapshot" not in said(Failed(code="output-exists", exit_code=REFUSED), code=FAILED)


@pytest.mark.parametrize(
    ("code", "changes"),
    [(REFUSED, {}), (FAILED, {"train": False, "model": "hdfs:///m"})],
    ids=["refused", "scoring alone"],
)
def test_where_nothing_was_trained_there_is_nothing_to_add(code: int, changes: dict[str, Any]) -> None:
    assert said(code=code, **changes) == "job mnist-1: it failed. Run `fab doctor`. The full log: /r/job.log"
