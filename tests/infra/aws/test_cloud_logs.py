"""Log group of a stack: what is registered, who writes to it, and who does not."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

import pytest

from bootstrap.cluster import ClusterDocument
from infra.aws import identity
from tests.infra.aws.conftest import AwsProgram, Recording
from tests.infra.aws.test_given import recorded as given

GROUP = "aws:cloudwatch/logGroup:LogGroup"
POLICY = "aws:iam/rolePolicy:RolePolicy"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"


@cache
def recorded(**config: str) -> Recording:
    return AwsProgram([]).run(None, **config)


def policy(recording: Recording, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recording.named(name).inputs["policy"])
    return found


def test_without_the_setting_nothing_of_it_is_there() -> None:
    recording = recorded()
    assert not recording.of(GROUP)
    assert "logs" not in recording.outputs
    document = ClusterDocument.from_outputs("test", recording.outputs)
    assert document.cloud_logs is None
    assert not {"boot_log", "cloud_logs"} & set(document.roles)


@pytest.mark.parametrize(("value", "days"), [("true", 30), ('{"retentionDays": 7}', 7)])
def test_the_group_has_the_stacks_name_and_forgets(value: str, days: int) -> None:
    recording = recorded(cloudLogs=value)
    group = recording.the(GROUP)
    assert (group.inputs["name"], group.inputs["retentionInDays"]) == ("caffe-spark/test", days)
    assert recording.outputs["logs"] == "aws logs tail caffe-spark/test --since 1d --region eu-west-1"
    found = ClusterDocument.from_outputs("test", recording.outputs).cloud_logs
    assert found is not None
    assert (found.group, found.region) == ("caffe-spark/test", "eu-west-1")


def test_it_has_cloudwatchs_own_key_also_where_volumes_have_another() -> None:
    assert "kmsKeyId" not in recorded(cloudLogs="true", kmsKey="alias/volumes").the(GROUP).inputs


def test_machines_write_to_it_and_nothing_else_of_cloudwatch() -> None:
    recording = recorded(cloudLogs="true")
    arn = recording.the(GROUP).outputs["arn"]
    for role in ("head", "worker"):
        registered = recording.named(f"logs-{role}")
        assert registered.inputs["role"] == recording.named(f"identity-{role}").outputs["name"]
        (statement,) = policy(recording, f"logs-{role}")["Statement"]
        assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
        assert statement["Resource"] == f"{arn}:*"
    others = [one for one in recording.of(POLICY) if not one.startswith("logs-")]
    assert not [name for name in others if "logs:" in json.dumps(policy(recording, name))]


def test_jobs_have_no_right_to_logs() -> None:
    assert "logs:" not in json.dumps(identity.job_policy("arn:aws:s3:::b"))
    assert "logs:" not in json.dumps(policy(recorded(cloudLogs="true"), "identity-job-policy"))


def test_it_is_there_before_the_first_machine_and_goes_after_the_last() -> None:
    recording = recorded(cloudLogs="true")
    for machine in ("head-instance", "workers-group"):
        needed = recording.needs(recording.named(machine))
        assert {recording.named(name).urn for name in ("logs-group", "logs-head", "logs-worker")} <= needed


def test_without_a_way_out_the_service_has_an_endpoint() -> None:
    def services(**config: str) -> set[str]:
        found = recorded(**config).of(ENDPOINT).values()
        return {one.inputs["serviceName"].rpartition(".")[2] for one in found}

    walled = services(egress="endpoints")
    assert services(egress="endpoints", cloudLogs="true") - walled == {"logs"}
    assert services(cloudLogs="true") == services() == {"s3"}


def test_the_scripts_of_machines_send_logs_from_their_first_step() -> None:
    recording = recorded(cloudLogs="true")
    for role in ("head", "worker"):
        script = recording.named(f"{role}-script").inputs["content"]
        assert script.index("boot_log: ") < script.index("common: ")
        assert '"group": "caffe-spark/test"' in script


def test_user_data_does_not_depend_on_it() -> None:
    """But for the name and the sum of the script: a head would be replaced for it."""

    def text(**config: str) -> str:
        template = recorded(**config).the("aws:ec2/launchTemplate:LaunchTemplate")
        decoded = base64.b64decode(template.inputs["userData"]).decode()
        return "\n".join(
            line for line in decoded.splitlines() if '"sha256"' not in line and "script_key" not in line
        )

    assert text() == text(cloudLogs="true")


def test_roles_of_a_company_get_no_policy() -> None:
    recording = given("machines", cloudLogs="true")
    assert recording.the(GROUP).inputs["name"] == "caffe-spark/test"
    assert not [name for name in recording.of(POLICY) if name.startswith("logs-")]
