from __future__ import annotations

import pytest

from bootstrap.cluster import AutoScalingGroup, Fixed, HdInsight
from tests.bootstrap.cluster.test_document import HDINSIGHT
from tests.host_keys import host_key

HDINSIGHTS = HdInsight.model_validate(HDINSIGHT)
GROUP = AutoScalingGroup(name="workers", region="eu-west-1", desired_capacity=2)
FIXED = Fixed.model_validate({"workers": [{"name": "w1", "address": "10.0.0.2", "host_key": host_key("w1")}]})
Members = Fixed | AutoScalingGroup | HdInsight


@pytest.mark.parametrize(
    ("members", "command"),
    [
        (FIXED, "`pulumi up --refresh --stack blue`, which replaces a dead node"),
        (GROUP, "`fab workers --stack blue`, which shows its state"),
        (HDINSIGHTS, "`az hdinsight show --name n --resource-group g`, which shows its state"),
    ],
)
def test_an_unreachable_node_is_repaired_by_its_owner(members: Members, command: str) -> None:
    assert members.repair("blue") == command
    changed = members.changed_host_key("w1", "blue", is_head=False)
    assert changed.why == "it shows another host key than the stack recorded"
    assert changed.fix == f"Run {command}; then rerun this command."


def test_hdinsights_active_head_node_changes_on_failover() -> None:
    changed = HDINSIGHTS.changed_host_key("hn0", "blue", is_head=True)
    assert "the cluster's other head node took over" in changed.why
    assert "https://n.azurehdinsight.net" in changed.fix
    assert GROUP.changed_host_key("head", "blue", is_head=True).fix.startswith("Run `fab workers")


def test_services_are_started_by_our_roles_except_on_hdinsight() -> None:
    assert FIXED.start_services("blue") == GROUP.start_services("blue")
    assert "fab bootstrap --stack blue" in FIXED.start_services("blue")
    assert "Ambari" in HDINSIGHTS.start_services("blue")


def test_the_declared_number_of_workers_is_the_stacks() -> None:
    assert [members.worker_count for members in (FIXED, GROUP, HDINSIGHTS)] == [1, 2, 3]
    assert [members.fixed for members in (FIXED, GROUP, HDINSIGHTS)] == [True, False, False]


def test_only_a_cloud_that_sells_spot_instances_takes_workers_back() -> None:
    on_demand = GROUP.model_copy(update={"market": "on_demand"})
    assert [members.spot for members in (FIXED, HDINSIGHTS, on_demand)] == [False, False, False]
    assert GROUP.spot, "documents of earlier versions do not name a market"
