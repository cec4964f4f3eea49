"""`fab logs` where a log cannot be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.cluster import CloudLogs
from bootstrap.errors import Unreachable
from jobs.run.logs import show


def backends(logs: CloudLogs | None) -> Any:
    def find(_: str) -> None:
        raise Unreachable("w1", "it does not answer", "Run `fab workers`.")

    return SimpleNamespace(find=find, document=SimpleNamespace(cloud_logs=logs))


def test_logs_of_machines_that_are_gone_are_where_they_were_sent() -> None:
    logs = CloudLogs(group="caffe-spark/aws", region="eu-west-1")
    with pytest.raises(Unreachable) as refused:
        show(backends(logs), "mnist-1", print)
    assert str(refused.value) == (
        "w1: it does not answer. Run `fab workers`. Machines also sent their logs to CloudWatch: "
        "`aws logs tail caffe-spark/aws --since 1d --region eu-west-1`."
    )


def test_of_a_stack_that_sends_none_the_error_stays_as_it_is() -> None:
    with pytest.raises(Unreachable, match=r"Run `fab workers`\.$"):
        show(backends(None), "mnist-1", print)
