from __future__ import annotations

import io
from contextlib import nullcontext

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.errors import ServiceDown
from jobs import status
from jobs.history import History
from jobs.package import SubmittedJob
from jobs.records import Kept
from jobs.spec import JobSpec
from jobs.status import SHOWN, table
from jobs.submit import JobPlace
from jobs.trainer.contract import Event, Executors, Failed, Phase, Progress, stamped
from tests.jobs.conftest import SPECS

NOW = 1_000_000.0


def kept(*events: Event, name: str = "mnist-1", active: bool = False, status: int | None = 0) -> Kept:
    place = JobPlace(name, f"/jobs/{name}", f"hdfs://head:9000/jobs/{name}")
    history = History(stamped(event, NOW - 10) for event in events)
    job = SubmittedJob(JobSpec.from_file(SPECS / "mnist.yaml"), "key", place)
    return Kept(job, NOW - 100, active, status, history)


def text(*jobs: Kept, others: list[tuple[str, str, str]] | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(table(list(jobs), others or [], NOW))
    return out.getvalue()


@pytest.mark.parametrize(
    ("active", "status", "state"),
    [
        (True, None, "running"),
        (False, 0, "done"),
        (False, 2, "refused"),
        (False, 1, "failed"),
        (False, 143, "killed"),
        (False, None, "lost"),
    ],
)
def test_each_job_has_a_state(active: bool, status: int | None, state: str) -> None:
    assert f" {state} " in text(kept(active=active, status=status))


def test_a_running_job_says_how_far_it_is_and_where() -> None:
    said = text(
        kept(
            Phase("train"),
            Progress(150, 2000),
            Executors("app-1", {"0": {"host": "w1"}, "1": {"host": "w2"}}),
            active=True,
        )
    )
    assert "train, iteration 150 of 2000" in said
    assert "0 on w1, 1 on w2" in said
    assert "app-1" in said
    assert " 1:40 " in said


def test_a_failed_one_says_where_and_in_which_words() -> None:
    said = text(kept(Phase("data"), Failed(message="too few\nrecords"), status=2))
    assert "data: too few records" in said
    assert " 1:30 " in said


def test_applications_of_others_are_listed_as_theirs() -> None:
    said = text(kept(), others=[("application_9", "RUNNING", "Thrift server")])
    assert "Thrift server" in said
    assert "running (not ours)" in said
    assert "application_9" in said


def test_old_jobs_are_left_out_and_running_ones_never() -> None:
    many = [kept(name=f"mnist-{number}") for number in range(SHOWN + 5)]
    said = text(*many, kept(name="mnist-old", active=True))
    assert f"mnist-{SHOWN - 1} " in said
    assert f"mnist-{SHOWN} " not in said
    assert "mnist-old" in said


def test_without_jobs_it_says_what_to_type() -> None:
    assert "fab submit-mnist" in text()


def test_a_resource_manager_that_is_down_leaves_the_jobs_to_be_seen(
    yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise ServiceDown("http://head:8088", "it does not answer", "Run `fab bootstrap`.")

    monkeypatch.setattr(status, "connect", lambda *_: nullcontext())
    monkeypatch.setattr(status.records, "all_jobs", lambda _: [kept()])
    monkeypatch.setattr(status.yarn, "others", down)
    out = io.StringIO()
    Console(file=out, width=200).print(status.status(yarn_cluster))
    assert "mnist-1" in out.getvalue()
    assert "http://head:8088: it does not answer. Run `fab bootstrap`." in out.getvalue()
