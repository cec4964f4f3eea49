"""The company's instance profiles, as moto has them."""

from __future__ import annotations

import boto3
import pytest

from bootstrap.errors import ConfigError
from infra.aws.existing import look_up
from infra.aws.settings.config import AwsConfig
from tests.infra.aws.conftest import REGION
from tests.infra.aws.given import given_profile

pytestmark = pytest.mark.usefixtures("aws_account")
JOB = "arn:aws:iam::123456789012:role/jobs"


def config(**more: str) -> AwsConfig:
    profiles = {"head": "team-head", "worker": "team-worker", **more}
    return AwsConfig.model_validate({"region": REGION, "instanceProfiles": profiles})


def test_a_profile_is_known_with_its_role() -> None:
    arns = [given_profile("team-head"), given_profile("team-worker")]
    found = look_up(config(), "test").profiles
    assert found is not None
    assert [found.head.role_arn, found.worker.role_arn] == arns
    assert found.head.role_name == "team-head-role"
    assert found.head.arn.endswith(":instance-profile/team-head")
    assert found.head.role_id.startswith("AROA")
    assert found.job_role is None


def test_the_jobs_role_is_as_given() -> None:
    given_profile("team-head")
    given_profile("team-worker")
    found = look_up(config(jobRole=JOB), "test").profiles
    assert found is not None
    assert found.job_role == JOB


def test_a_profile_that_is_not_there_is_named_by_its_setting() -> None:
    given_profile("team-head")
    with pytest.raises(
        ConfigError, match=r"instanceProfiles\.worker = team-worker: this account has no such"
    ):
        look_up(config(), "test")


def test_a_profile_without_a_role_is_refused() -> None:
    boto3.client("iam", region_name=REGION).create_instance_profile(InstanceProfileName="team-head")
    with pytest.raises(ConfigError, match=r"instanceProfiles\.head = team-head: .* has no role"):
        look_up(config(), "test")
