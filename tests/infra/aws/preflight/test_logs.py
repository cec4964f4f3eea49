"""Check of the log group's name, against moto's CloudWatch Logs."""

from __future__ import annotations

import pytest

from infra import tags
from infra.aws.preflight import logs
from infra.aws.preflight.cloud import Cloud
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import REGION, STACK, Account, config

GROUP = f"caffe-spark/{STACK}"


def found(cloud: Cloud) -> Finding:
    (check,) = logs.checks(config(cloudLogs=True), STACK)
    (finding,) = check.ask(cloud)
    return finding


def test_a_stack_whose_machines_keep_their_logs_is_not_asked_about() -> None:
    assert logs.checks(config(), STACK) == []


def test_a_name_that_is_free_passes(cloud: Cloud, account: Account) -> None:
    account.client("logs").create_log_group(logGroupName=f"{GROUP}-2")
    assert (found(cloud).verdict, found(cloud).detail) == ("passed", f"{GROUP} will be created")


def test_the_group_of_a_stack_that_is_up_passes(cloud: Cloud, account: Account) -> None:
    account.client("logs").create_log_group(logGroupName=GROUP, tags=tags.cloud_tags(STACK))
    assert (found(cloud).verdict, found(cloud).detail) == ("passed", f"{GROUP} is this stack's")


@pytest.mark.parametrize("theirs", [{}, {"Team": "vision"}, tags.cloud_tags("another")])
def test_a_group_of_somebody_else_fails_before_anything_is_created(
    theirs: dict[str, str], cloud: Cloud, account: Account
) -> None:
    account.client("logs").create_log_group(logGroupName=GROUP, **({"tags": theirs} if theirs else {}))
    finding = found(cloud)
    assert finding.failed
    assert "without this stack's tags" in finding.detail
    assert f"aws logs delete-log-group --log-group-name {GROUP} --region {REGION}" in finding.fix
