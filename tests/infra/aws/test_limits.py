"""The file of prices and limits that the head reads."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import boto3
import pytest

from bootstrap import paths
from infra.aws.limits import LimitsProvider, limits_text
from infra.aws.settings.config import AwsConfig
from tests.cloud.aws_account import REGION
from tests.infra.aws.cost.test_hourly import config, priced

BUCKET = "caffe-spark-x"


def props(content: str, **changes: Any) -> dict[str, Any]:
    return {"region": REGION, "bucket": BUCKET, "content": content, **changes}


def text(stack: AwsConfig | None = None, **services: Any) -> str:
    return limits_text(stack or config(), "test", priced(**services), "AROAWORKER")


@pytest.fixture
def bucket(aws_account: None) -> Any:
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


def stored(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.get_object(Bucket=BUCKET, Key=paths.LIMITS)["Body"].read())
    return found


def test_the_head_gets_prices_limits_and_the_markets_of_the_group(bucket: Any) -> None:
    stack = config(budget={"total": 20}, idleStop="30 min", idleStopHead=True, onDemandBase=1)
    made = LimitsProvider().create(props(text(stack)))
    assert made.id == f"s3://{BUCKET}/{paths.LIMITS}"
    found = stored(bucket)
    assert found["limits"] == {"per_hour": None, "total": "20", "idle_seconds": 1800, "idle_head": True}
    assert (found["on_demand_base"], found["on_demand_percentage"]) == (1, 0)
    assert found["fallback_seconds"] is None
    assert (found["max_join_failures"], found["worker_role"]) == (3, "AROAWORKER")
    assert found["prices"]["nodes"][0] | {"count": 1} == {
        "role": "head",
        "type": "m6i.xlarge",
        "market": "on-demand",
        "low": "1",
        "high": "1",
        "count": 1,
        "max_count": None,
    }


def test_another_budget_is_written_by_the_next_update(bucket: Any) -> None:
    provider, olds = LimitsProvider(), props(text())
    provider.create(olds)
    news = props(text(config(budget={"total": 40})))
    difference = provider.diff("id", olds, news)
    assert (difference.changes, difference.replaces) == (True, [])
    provider.update("id", olds, news)
    assert stored(bucket)["limits"]["total"] == "40"


def test_spot_prices_that_move_by_themselves_are_no_change_and_others_are() -> None:
    table = priced()
    here = table.regions["eu-west-1"]
    moved = {
        **here.types,
        "g4dn.xlarge": here.types["g4dn.xlarge"].model_copy(
            update={"spot": (Decimal("0.1"), Decimal("0.2"))}
        ),
    }
    region = here.model_copy(update={"types": moved})
    other = table.model_copy(update={"regions": {"eu-west-1": region}})
    provider, olds = LimitsProvider(), props(text())
    assert text() != limits_text(config(), "test", other, "AROAWORKER")
    assert not provider.diff("id", olds, props(limits_text(config(), "test", other, "AROAWORKER"))).changes
    assert provider.diff("id", olds, props(text(nat_hour="0.2"))).changes


def test_the_fallback_is_written_in_seconds_by_the_next_update() -> None:
    news = props(text(config(fallbackAfter="10 min")))
    assert json.loads(news["content"])["fallback_seconds"] == 600
    assert LimitsProvider().diff("id", props(text()), news).changes


@pytest.mark.parametrize(("scales", "left"), [(True, 1), (False, 0)])
def test_a_group_that_scales_keeps_its_least_size_when_nothing_runs(scales: bool, left: int) -> None:
    given = config(scaleToQueue=scales, minWorkers=1, idleStop="30 min")
    assert json.loads(text(given))["idle_workers"] == left


def test_another_number_of_failures_is_written_by_the_next_update() -> None:
    news = props(text(config(maxJoinFailures=5)))
    assert LimitsProvider().diff("id", props(text()), news).changes


@pytest.mark.parametrize("unknown", [None, object()])
def test_a_role_that_is_about_to_be_replaced_changes_the_file(unknown: object) -> None:
    assert LimitsProvider().diff("id", props(text()), {**props(text()), "content": unknown}).changes


def test_another_bucket_gets_a_file_of_its_own() -> None:
    assert LimitsProvider().diff("id", props(text()), props(text(), bucket="other")).replaces == ["bucket"]


def test_a_file_that_somebody_deleted_is_written_again(bucket: Any) -> None:
    provider, given = LimitsProvider(), props(text())
    assert provider.read("id", given).id == ""
    provider.create(given)
    assert provider.read("id", given).id == "id"
