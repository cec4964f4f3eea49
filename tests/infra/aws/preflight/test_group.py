"""The name of the workers' group: free, this stack's, or somebody else's."""

from __future__ import annotations

import pytest

from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.group import checks
from infra.preflight.finding import Finding
from tests.cloud.aws_account import add_group
from tests.infra.aws.preflight.conftest import REGION, STACK, Account, answers, config

GROUP = "caffe-spark-test-workers"


def has_group(account: Account, region: str = REGION, **its_tags: str) -> None:
    add_group(account.client("autoscaling", region), GROUP, its_tags)


def asked(cloud: Cloud) -> Finding:
    return answers(checks(config(), STACK), cloud)["worker group"]


def test_a_name_that_nobody_has_is_free(cloud: Cloud) -> None:
    assert asked(cloud) == Finding("worker group", "passed", f"the name {GROUP} is free")


def test_the_stacks_own_group_is_no_obstacle(cloud: Cloud, account: Account) -> None:
    has_group(account, Name="caffe-spark-test-worker", **tags.cloud_tags(STACK))
    assert asked(cloud).detail == f"{GROUP} is this stack's"


@pytest.mark.parametrize(
    ("its_tags", "words"),
    [
        ({"Team": "vision", "Project": "other"}, "(Project=other, Team=vision)"),
        ({"Project": "caffe-spark", "Stack": "other"}, "(Project=caffe-spark, Stack=other)"),
        ({}, "(it has no tags)"),
    ],
)
def test_somebody_elses_group_of_that_name_is_refused_with_its_tags(
    its_tags: dict[str, str], words: str, cloud: Cloud, account: Account
) -> None:
    has_group(account, **its_tags)
    found = asked(cloud)
    assert found.failed
    assert found.detail == f"eu-west-1 has a group {GROUP} that is not this stack's {words}"
    assert "Use another name" in found.fix


def test_a_group_of_that_name_in_another_region_is_no_obstacle(cloud: Cloud, account: Account) -> None:
    has_group(account, "us-east-1")
    assert asked(cloud).verdict == "passed"


def test_a_lacking_right_is_said(cloud: Cloud, account: Account) -> None:
    account.denies("DescribeAutoScalingGroups")
    found = asked(cloud)
    assert found.failed
    assert "lack the permission DescribeAutoScalingGroups" in found.detail
