"""Workers of a group as EC2 knows them, and spot prices over time: moto, and recorded shapes of AWS."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import boto3
import pytest

from bootstrap.cluster import S3, AutoScalingGroup, ClusterDocument
from bootstrap.errors import ConfigError
from bootstrap.inventory.machines import Machine, machines, one_of, spot_prices
from tests.cloud.aws_account import REGION, answers, aws_account, read_once
from tests.conftest import HOST_KEY

__all__ = ["aws_account", "read_once"]

BUCKET = "bucket"
GROUP = AutoScalingGroup(name="caffe-spark-aws-workers", region=REGION, desired_capacity=2)
LAUNCHED = datetime(2026, 11, 30, 9, 0, tzinfo=timezone.utc)


@pytest.fixture
def document(cluster_document: dict[str, object]) -> ClusterDocument:
    head = {"name": "head", "address": "10.9.8.10", "ssh_target": "i-head", "instance": "i-head"}
    storage = S3(uri=f"s3a://{BUCKET}", region=REGION)
    return ClusterDocument.model_validate(
        {**cluster_document, "head": head, "members": GROUP, "storage": storage}
    )


def instance(number: str, **changes: Any) -> dict[str, Any]:
    """An instance as DescribeInstances lists it."""
    return {
        "InstanceId": f"i-{number}",
        "InstanceType": "g4dn.xlarge",
        "InstanceLifecycle": "spot",
        "LaunchTime": LAUNCHED,
        "Placement": {"AvailabilityZone": "eu-west-1a"},
        "PrivateIpAddress": "10.40.1.2",
        "State": {"Name": "running"},
        **changes,
    }


def test_workers_are_known_by_the_name_that_their_address_makes(
    document: ClusterDocument, aws_account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def answer(_region: str, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        if operation != "DescribeInstances":
            return None
        asked.append(given)
        on_demand = {key: value for key, value in instance("2").items() if key != "InstanceLifecycle"}
        on_demand["PrivateIpAddress"] = "10.40.1.3"
        return {"Reservations": [{"Instances": [instance("1"), on_demand]}]}

    answers(monkeypatch, answer)
    found = machines(document, GROUP)
    began = LAUNCHED.timestamp()
    assert found == {
        "ip-10-40-1-2": [Machine("g4dn.xlarge", "spot", "eu-west-1a", began)],
        "ip-10-40-1-3": [Machine("g4dn.xlarge", "on-demand", "eu-west-1a", began)],
    }
    assert asked[0]["Filters"] == [{"Name": "tag:aws:autoscaling:groupName", "Values": [GROUP.name]}]


def test_a_worker_that_is_gone_is_known_by_its_own_report_and_ends_when_ec2_says(
    document: ClusterDocument, aws_account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    report = {
        "version": 1,
        "instance": "i-1",
        "name": "ip-10-40-1-2",
        "address": "10.40.1.2",
        "host_key": HOST_KEY,
        "state": "left",
        "said": "",
        "framework": "",
        "at": "2026-11-30T09:30:00Z",
    }
    key = "cluster/nodes/AROA1:i-1/node.json"
    client.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(report).encode())
    gone = instance(
        "1",
        State={"Name": "terminated"},
        StateTransitionReason="Server.SpotInstanceTermination (2026-11-30 09:30:00 GMT)",
    )
    del gone["PrivateIpAddress"]
    silent = {**gone, "InstanceId": "i-9"}

    def answer(_region: str, operation: str, _given: dict[str, Any]) -> dict[str, Any] | None:
        shown = {"Reservations": [{"Instances": [gone, silent]}]}
        return shown if operation == "DescribeInstances" else None

    answers(monkeypatch, answer)
    (machine,) = machines(document, GROUP)["ip-10-40-1-2"]
    assert (machine.ended, machine.gone) == (LAUNCHED.timestamp() + 1800, True)
    # AWS does not always tell the time.
    gone["StateTransitionReason"] = "Server.SpotInstanceTermination: Spot instance termination"
    (machine,) = machines(document, GROUP)["ip-10-40-1-2"]
    assert (machine.ended, machine.gone) == (None, True)


def test_without_credentials_the_error_is_one_that_a_receipt_can_tell(document: ClusterDocument) -> None:
    with pytest.raises(ConfigError, match="there are no credentials"):
        machines(document, GROUP)


def test_each_pool_is_asked_once_and_its_changes_come_in_order(
    aws_account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def answer(_region: str, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        if operation != "DescribeSpotPriceHistory":
            return None
        asked.append(given)
        if given["AvailabilityZone"] == "eu-west-1b":
            return {"SpotPriceHistory": []}
        # AWS lists the newest first; the oldest is the last change before the time that was asked for.
        return {
            "SpotPriceHistory": [
                {"SpotPrice": "0.280000", "Timestamp": datetime.fromtimestamp(5000, timezone.utc)},
                {"SpotPrice": "0.250000", "Timestamp": datetime.fromtimestamp(900, timezone.utc)},
            ]
        }

    answers(monkeypatch, answer)
    pools = [("g4dn.xlarge", "eu-west-1a"), ("g4dn.xlarge", "eu-west-1b"), ("g4dn.xlarge", "eu-west-1a")]
    found = spot_prices(GROUP, pools, 1000.0, 8200.0)
    assert found == {("g4dn.xlarge", "eu-west-1a"): [(900.0, Decimal("0.25")), (5000.0, Decimal("0.28"))]}
    assert [one["AvailabilityZone"] for one in asked] == ["eu-west-1a", "eu-west-1b"]
    assert asked[0]["InstanceTypes"] == ["g4dn.xlarge"]
    assert asked[0]["ProductDescriptions"] == ["Linux/UNIX"]
    assert (asked[0]["StartTime"].timestamp(), asked[0]["EndTime"].timestamp()) == (1000.0, 8200.0)


def test_a_stay_is_of_the_machine_that_was_there_for_most_of_it() -> None:
    first, second = Machine("a", "spot", "", 0.0, 100.0), Machine("b", "spot", "", 200.0, None)
    assert one_of([first, second], 10.0, 90.0) == first
    assert one_of([first, second], 90.0, 300.0) == second
    assert one_of([second], 10.0, 90.0) is None
    # Of two that may have been there, the one that still is.
    vague = Machine("c", "spot", "", 0.0, gone=True)
    assert one_of([second, vague], 300.0, 400.0) == one_of([vague, second], 300.0, 400.0) == second
    assert one_of([], 10.0, 90.0) is None
