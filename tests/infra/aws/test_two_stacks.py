"""Two stacks side by side in one region and account: no name of one is a name of the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.aws.existing import Given
from tests.infra import recorder
from tests.infra.aws.conftest import AwsProgram, Recording
from tests.infra.aws.test_given import SITE, THERE

NAMES = (
    *("name", "namePrefix", "bucket", "bucketPrefix", "keyName", "groupName", "autoscalingGroupName"),
    *("logGroupName", "launchTemplateName", "policyName"),
)
OF_ONE = {"caffe-spark", "jobs", "lifecycle", "stop-workers", "joining", "leaving", "logs"}
"""Names below a role or a group of the stack, as inline policies and hooks have them."""
ALL: dict[str, dict[str, str]] = {
    "nat": {"flowLogs": "true", "cloudLogs": "true"},
    "endpoints": {"egress": "endpoints"},
    "given network": THERE,
}


def names(recording: Recording) -> Iterator[str]:
    for one in recording.aws:
        inputs: dict[str, Any] = dict(one.inputs)
        yield from (inputs[key] for key in NAMES if isinstance(inputs.get(key), str))
        tags = inputs.get("tags")
        if isinstance(tags, dict) and "Name" in tags:
            yield tags["Name"]


def rendered(stack: str, config: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Recording:
    monkeypatch.setattr(recorder, "STACK", stack)
    given = Given(SITE) if "vpc" in config else None
    return AwsProgram([], given).run(None, **config)


@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
@pytest.mark.parametrize(("first", "second"), [("blue", "green"), ("blue", "blue-2"), ("aws-a", "a")])
def test_no_name_is_that_of_the_other_stack(
    first: str, second: str, config: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (rendered(stack, config, monkeypatch) for stack in (first, second))
    mine, theirs = set(names(one)) - OF_ONE, set(names(other)) - OF_ONE
    assert len(mine) > 5
    assert not mine & theirs
    mine.discard(f"caffe-spark/{first}")  # the log group, of which a stack has one
    assert all(name.startswith(f"caffe-spark-{first}-") for name in mine), mine


@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
def test_machines_of_one_stack_name_nothing_of_the_other(
    config: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stack, other in (("blue", "green"), ("green", "blue")):
        recording = rendered(stack, config, monkeypatch)
        assert recording.outputs["worker_group"] == f"caffe-spark-{stack}-workers"
        assert recording.outputs["bucket"].startswith(f"caffe-spark-{stack}-")
        assert f"caffe-spark-{other}" not in str(recording.outputs)


def test_each_stack_says_who_it_is_on_every_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    for stack in ("blue", "green"):
        provider = rendered(stack, {}, monkeypatch).the("pulumi:providers:aws")
        assert f'"Stack": "{stack}"' in provider.inputs["defaultTags"]
