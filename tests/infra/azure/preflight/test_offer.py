"""HDInsight's offer in a region: versions, sizes, cores."""

from __future__ import annotations

from typing import Any

import pytest

from infra.azure.preflight.quotas import demand
from tests.cloud.arm import SUBSCRIPTION
from tests.cloud.azure_account import Account
from tests.infra.azure.preflight.conftest import Preflight, config

GROUP = "caffe-spark-demo"
SLOT = {"days": ["Monday"], "time": "08:00", "min": 6, "max": 6}


def rule(**values: Any) -> dict[str, Any]:
    return {"filterMode": "Exclude", "vmSizes": ["Standard_E8_V3"], **values}


def test_a_region_that_is_closed_to_the_subscription_is_named_with_those_that_are_not(
    account: Account, preflight: Preflight
) -> None:
    account.regions = ["EAST US", "NORTH EUROPE"]
    region = preflight.run(config())["region"]
    assert "is not available in West Europe for this subscription; it is in East Us, North" in region.detail
    assert "pulumi config set region" in region.fix


def test_a_version_that_is_gone_is_told_with_those_that_are_there(
    account: Account, preflight: Preflight
) -> None:
    account.versions = {"6.0": "3.5"}
    assert "no version 5.1 in West Europe any more; it has 6.0" in preflight.run(config())["region"].detail


def test_another_spark_is_told(account: Account, preflight: Preflight) -> None:
    account.versions = {"5.1": "3.5.0"}
    assert "has Spark 3.5.0 in West Europe" in preflight.run(config())["region"].detail


def test_what_azure_does_not_say_is_no_failure(account: Account, preflight: Preflight) -> None:
    account.versions, account.regions, account.usages = {}, [], {}
    found = preflight.run(config())
    assert found["region"].verdict == "passed"
    assert found["quota: cores"].verdict == "note"


def test_a_size_that_is_not_offered_is_named_with_those_that_are(
    account: Account, preflight: Preflight
) -> None:
    account.sizes.remove("Standard_E8_V3")
    sizes = preflight.run(config())["sizes"]
    assert sizes.detail.startswith(
        "Standard_E8_V3 (headSize): HDInsight does not offer it in westeurope; it has "
    )
    assert "pulumi config set headSize Standard_E16_V3 --stack demo" in sizes.fix


def test_sizes_are_compared_without_regard_to_case(account: Account, preflight: Preflight) -> None:
    assert preflight.run(config(workerSize="Standard_E32ads_v5"))["sizes"].verdict == "passed"


@pytest.mark.parametrize(
    "one",
    [
        rule(),
        rule(regions=["*"], clusterFlavors=["Hadoop", "Spark"], nodeTypes=["WorkerNodeRole"]),
        rule(regions=["West Europe"], clusterVersions=["5.1"], osType=["Linux"]),
    ],
)
def test_a_rule_that_excludes_it_counts(one: dict[str, Any], account: Account, preflight: Preflight) -> None:
    account.filters = [one]
    assert "does not offer it as" in preflight.run(config())["sizes"].detail


@pytest.mark.parametrize(
    "one",
    [
        rule(regions=["East US"]),
        rule(clusterFlavors=["Kafka"]),
        rule(nodeTypes=["EdgeNodeRole"]),
        rule(clusterVersions=["4.0"]),
        rule(osType=["Windows"]),
        rule(filterMode="Recommend"),
        rule(vmSizes=["Standard_A5"]),
    ],
)
def test_a_rule_about_something_else_does_not(
    one: dict[str, Any], account: Account, preflight: Preflight
) -> None:
    account.filters = [one]
    assert preflight.run(config())["sizes"].verdict == "passed"


def test_a_size_that_cannot_be_encrypted_at_its_host(account: Account, preflight: Preflight) -> None:
    account.encrypting = ["Standard_E8ads_v5", "Standard_A2_v2"]
    assert preflight.run(config())["sizes"].verdict == "passed"
    found = preflight.run(config(encryptionAtHost=True))["sizes"]
    assert "does not support encryption at host" in found.detail
    assert "headSize Standard_E8ads_v5" in found.fix


# ---- cores


def test_all_machines_count_with_as_many_workers_as_there_may_be() -> None:
    plain = demand(config())
    assert plain.cores == 2 * 8 + 3 * 8 + 3 * 2
    assert plain.families == {"standardEv3Family": 40, "standardAv2Family": 6}
    assert demand(config(autoscale={"min": 3, "max": 6})).cores == plain.cores + 3 * 8


def test_a_quota_that_is_short_says_by_how_many_and_how_many_workers_fit(
    account: Account, preflight: Preflight
) -> None:
    account.usages = {"cores": (20, 60)}
    quota = preflight.run(config())["quota: cores"]
    assert quota.failed
    assert quota.detail == (
        "46 cores needed (2 heads as Standard_E8_V3, 3 workers as Standard_E8_V3, 3 ZooKeepers as "
        "Standard_A2_v2), 40 left of 60: 6 too few"
    )
    assert "pulumi config set workers 2 --stack demo" in quota.fix
    assert "Help + support" in quota.fix


def test_one_that_not_even_a_worker_fits_into_advises_none(account: Account, preflight: Preflight) -> None:
    account.usages = {"cores": (0, 10)}
    assert "pulumi" not in preflight.run(config())["quota: cores"].fix


def test_autoscale_is_cut_where_it_is_what_does_not_fit(account: Account, preflight: Preflight) -> None:
    account.usages = {"cores": (0, 62)}
    quota = preflight.run(config(autoscale={"min": 3, "max": 6}))["quota: cores"]
    assert "--path autoscale.max 5 " in quota.fix


def test_fewer_workers_than_the_other_settings_allow_are_not_advised(
    account: Account, preflight: Preflight
) -> None:
    for cores, values in (
        (54, {"autoscale": {"min": 4, "max": 6}, "workers": 4}),  # 4 fit, and max has to be above min
        (62, {"autoscale": {"min": 3, "max": 6}, "workers": 6}),  # 5 fit, and the cluster starts with 6
        (40, {"autoscale": {"schedule": [SLOT]}, "workers": 6}),  # there is no max to lower
    ):
        account.usages = {"cores": (0, cores)}
        quota = preflight.run(config(**values))["quota: cores"]
        assert quota.failed
        assert "pulumi" not in quota.fix, values


def test_fewer_workers_are_not_advised_where_another_family_is_short(
    account: Account, preflight: Preflight
) -> None:
    account.usages = {"standardAv2Family": (0, 4), "standardEv3Family": (0, 39)}
    found = preflight.run(config())
    assert "6 cores needed" in found["quota: standardAv2Family"].detail
    assert "pulumi" not in found["quota: standardAv2Family"].fix
    assert "config set workers 2" in found["quota: standardEv3Family"].fix


def test_a_familys_quota_counts_where_azure_lists_it(account: Account, preflight: Preflight) -> None:
    account.usages = {"cores": (0, 500), "StandardEv3Family": (0, 32), "standardDv2Family": (0, 0)}
    preflight.run(config())
    assert "quota: standardEv3Family" in preflight.failed
    assert "quota: cores" not in preflight.failed
    assert "40 cores needed" in preflight.printed


def test_what_the_stacks_own_cluster_uses_is_not_counted_twice(
    account: Account, preflight: Preflight
) -> None:
    account.usages = {"cores": (46, 60)}
    group = account.group(GROUP)
    name = preflight.run(config())["cluster name"].detail.split()[2]
    account.cluster(group, name)
    found = preflight.run(config())
    assert "46 cores needed" in found["quota: cores"].detail
    assert found["quota: cores"].verdict == "passed"
    assert SUBSCRIPTION in group
    account.usages = {"standardEv3Family": (40, 40), "standardAv2Family": (6, 10)}
    found = preflight.run(config())
    assert "40 cores needed" in found["quota: standardEv3Family"].detail
    assert "40 left of 40" in found["quota: standardEv3Family"].detail
    assert found["quota: standardAv2Family"].detail.endswith("10 left of 10")
