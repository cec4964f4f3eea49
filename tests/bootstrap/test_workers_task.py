"""`fab workers --resume` as it is typed; what it does against AWS is in tests/bootstrap/inventory."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from bootstrap import tasks
from bootstrap.cluster import S3, AutoScalingGroup, CloudLogs, ClusterDocument
from bootstrap.console import TerminalConsole
from bootstrap.inventory import autoscaling, spending
from bootstrap.inventory.autoscaling import Fleet, Report
from tests.conftest import HOST_KEY

GROUP = AutoScalingGroup(name="workers", region="eu-west-1", desired_capacity=2, watched=True)
HEAD = Report(
    version=1,
    instance="i-head",
    name="head",
    address="10.9.8.10",
    host_key=HOST_KEY,
    state="ready",
    said="",
    framework="",
    at=datetime(2026, 11, 30, tzinfo=timezone.utc),
)
Workers = Callable[..., str]


@pytest.fixture
def desired() -> list[int]:
    """Sizes of the group, one for each look."""
    return []


@pytest.fixture
def workers(cluster_document: dict[str, Any], desired: list[int], monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Runs the task; returns what it prints."""
    on_aws = {**cluster_document, "members": GROUP, "storage": S3(uri="s3a://bucket", region="eu-west-1")}

    def run(*, aws: bool = True, resume: bool = True, logs: CloudLogs | None = None) -> str:
        found = ClusterDocument.model_validate({**on_aws, "cloud_logs": logs} if aws else cluster_document)
        text = io.StringIO()
        monkeypatch.setattr(tasks, "document_of", lambda _: found)
        monkeypatch.setattr(tasks, "console", TerminalConsole(file=text, width=200))
        monkeypatch.setattr(tasks, "print_whole", lambda _: None)
        monkeypatch.setattr(autoscaling, "look", lambda *_: Fleet(HEAD, (), desired.pop(0), ()))
        monkeypatch.setattr(spending, "lines", lambda _: [])
        tasks.workers.body(Context(), stack="dev", resume=resume)
        return text.getvalue()

    return run


def test_workers_that_are_stopped_are_brought_back(
    workers: Workers, desired: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def bring_back(*_: object, resume: bool = False) -> spending.Brought:
        asked.append(resume)
        return spending.Brought("they were stopped: no numpy; bringing back 2", None)

    monkeypatch.setattr(spending, "bring_back", bring_back)
    desired[:] = [0, 2]
    assert "workers  they were stopped: no numpy; bringing back 2" in workers()
    assert (asked, desired) == ([True], [])


def test_workers_that_are_not_stopped_are_left_alone(
    workers: Workers, desired: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending, "bring_back", lambda *_, **__: pytest.fail("nothing is stopped"))
    desired[:] = [2]
    assert "they are not stopped: 2 wanted" in workers()
    desired[:] = [0]
    assert workers(resume=False) == "", "without the flag nothing comes back"


def test_logs_that_workers_have_sent_are_named(workers: Workers, desired: list[int]) -> None:
    desired[:] = [2]
    logs = CloudLogs(group="caffe-spark/aws", region="eu-west-1")
    assert workers(resume=False, logs=logs) == (
        "logs     in CloudWatch: `aws logs tail caffe-spark/aws --since 1d --region eu-west-1`\n"
    )


def test_a_cluster_whose_workers_never_stop_refuses_to_bring_them_back(workers: Workers) -> None:
    with pytest.raises(Exit, match="only workers on AWS are stopped"):
        workers(aws=False)
