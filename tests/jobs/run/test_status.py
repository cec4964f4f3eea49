from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import AutoScalingGroup, Cluster, ClusterDocument, Limits, NodePrice, Prices
from bootstrap.errors import ServiceDown
from jobs.backends.base import Foreign
from jobs.converters.flags import TOOLS
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.report.history import History
from jobs.run import status
from jobs.run.convert import run_name
from jobs.run.status import SHOWN, idle_line, table
from jobs.trainer.contract import Event, Executors, Failed, Phase, Progress, stamped
from tests.jobs.specs import mnist_spec

NOW = 1_000_000.0


def kept(*events: Event, name: str = "mnist-1", active: bool = False, status: int | None = 0) -> JobRecord:
    place = JobPlace(name, f"/jobs/{name}", f"hdfs://head:9000/jobs/{name}")
    history = History(stamped(event, NOW - 10) for event in events)
    job = SubmittedJob(mnist_spec(), "key", place)
    return JobRecord(job, NOW - 100, active, status, history)


def text(*jobs: JobRecord, others: list[Foreign] | None = None) -> str:
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
    said = text(kept(), others=[Foreign("application_9", "RUNNING", "Thrift server")])
    assert "Thrift server" in said
    assert "running (not ours)" in said
    assert "application_9" in said


@pytest.mark.parametrize("tool", TOOLS)
def test_a_converter_tool_is_told_from_applications_of_others(tool: str) -> None:
    said = text(kept(), others=[Foreign("application_9", "RUNNING", run_name(tool))])
    assert "running (fab convert)" in said
    assert "not ours" not in said


def test_old_jobs_are_left_out_and_running_ones_never() -> None:
    many = [kept(name=f"mnist-{number}") for number in range(SHOWN + 5)]
    said = text(*many, kept(name="mnist-old", active=True))
    assert f"mnist-{SHOWN - 1} " in said
    assert f"mnist-{SHOWN} " not in said
    assert "mnist-old" in said


def test_without_jobs_it_says_what_to_type() -> None:
    assert "fab submit-mnist" in text()


class Known:
    """Backends that know one job, and whose cluster manager, or one of them, does not answer."""

    def __init__(self, document: ClusterDocument, silent: tuple[str, ...] = ()) -> None:
        self.document, self.silent = document, silent

    def records(self) -> tuple[list[JobRecord], list[str]]:
        return [kept()], list(self.silent)

    @property
    def default(self) -> Known:
        return self

    def foreign(self, _: set[str]) -> list[Foreign]:
        raise ServiceDown("http://head:8088", "it does not answer", "Run `fab bootstrap`.")


@pytest.mark.parametrize("silent", [(), ("head: SSH does not answer. Run `fab doctor`.",)])
def test_what_is_down_leaves_the_jobs_to_be_seen(silent: tuple[str, ...], cluster: Cluster) -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(status.status(Known(cluster, silent)))  # type: ignore[arg-type]
    assert "mnist-1" in out.getvalue()
    for line in ("http://head:8088: it does not answer. Run `fab bootstrap`.", *silent):
        assert line in out.getvalue()


IDLE = Limits(idle_seconds=1800)
WHOLE = Prices(
    nodes=(
        NodePrice(role="head", type="E8", low=Decimal(1), high=Decimal(1), count=2),
        NodePrice(role="worker", type="E8", low=Decimal(1), high=Decimal(1), count=3),
    ),
    whole=True,
    source="a table",
)


def idle(cluster: Cluster, *jobs: JobRecord, minutes: float, **changes: Any) -> str:
    """The line so long after the end of `kept`."""
    document = cluster.model_copy(update={"limits": IDLE, **changes})
    return idle_line(document, list(jobs), NOW - 10 + minutes * 60)


def test_an_idle_cluster_that_cannot_pause_tells_what_staying_costs(cluster: Cluster) -> None:
    assert idle(cluster, kept(Phase("stop")), minutes=42, prices=WHOLE) == (
        "idle     nothing has run for 42 min (idleStop is 30 min); HDInsight cannot pause: staying costs "
        "5.00 USD an hour, `pulumi destroy --stack dev` ends it"
    )


def test_an_idle_cluster_on_this_machine_tells_that_nothing_is_stopped(cluster: Cluster) -> None:
    said = idle(cluster, kept(Phase("stop")), minutes=42)
    assert said.endswith("workers on this machine are not stopped, and cost nothing")


def test_a_cluster_in_use_or_without_the_setting_is_not_told_idle(cluster: Cluster) -> None:
    assert idle(cluster, kept(Phase("stop")), minutes=29) == ""
    assert idle(cluster, kept(Phase("train"), active=True), minutes=42) == ""
    assert idle(cluster, kept(Phase("stop")), minutes=42, limits=None) == ""
    assert idle(cluster, minutes=42) == ""


def test_where_the_head_stops_workers_their_command_tells_it(cluster: Cluster) -> None:
    group = AutoScalingGroup(name="x", region="eu-west-1", desired_capacity=2, watched=True)
    assert idle(cluster, kept(Phase("stop")), minutes=42, members=group) == ""
