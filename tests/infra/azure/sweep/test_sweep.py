"""The whole sweep: what is found by its tags, what is kept, what cannot be searched, and what is said."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bootstrap.clouds import azure
from bootstrap.errors import ConfigError, NoCredentials, ServiceDown
from infra.azure.sweep.kinds import KINDS, kind_of, rank
from tests.cloud.arm import SUBSCRIPTION, closed_port
from tests.cloud.azure_account import OURS, Account
from tests.infra.azure.sweep.conftest import swept

THEIRS = {"Project": "another", "Stack": "demo"}
KEEP = {**OURS, "Stack": "keep"}
NAT = "Microsoft.Network/natGateways"
ADDRESS = "Microsoft.Network/publicIPAddresses"
STORAGE = "Microsoft.Storage/storageAccounts"
VNET = "Microsoft.Network/virtualNetworks"


def stack(account: Account) -> str:
    """Remains of a destroy that ended early."""
    group = account.group("caffe-spark-demo")
    account.add(group, VNET, "vnet")
    account.add(group, NAT, "nat")
    account.add(group, ADDRESS, "address")
    account.add(group, STORAGE, "caffesparkabc")
    account.cluster(group, "caffe-demo")
    account.add(group, "Microsoft.Network/networkInterfaces", "hn0-nic", tags={})
    return group


def test_an_empty_subscription_has_0_left(account: Account) -> None:
    found = swept()
    assert found.found.clean
    assert found.said.splitlines() == [
        "searching 1 subscription of Azure",
        "0 left (Project=caffe-spark) in 1 subscription of Azure",
    ]


def test_what_bills_first_is_removed_first_and_the_group_takes_the_rest(account: Account) -> None:
    stack(account)
    found = swept()
    assert not found.found.clean
    assert found.kinds == [
        "HDInsight cluster",
        "NAT gateway",
        "public IP address",
        "storage account",
        "network interface",
        "virtual network",
        "resource group",
    ]
    lines = found.said.splitlines()
    typed = [line for line in lines if line.startswith("az ")]
    assert typed == [
        "az hdinsight delete --name caffe-demo --resource-group caffe-spark-demo --yes "
        f"--subscription {SUBSCRIPTION}",
        f"az group delete --name caffe-spark-demo --yes --subscription {SUBSCRIPTION}",
    ]
    assert "# NAT gateway nat goes with resource group caffe-spark-demo" in lines


def test_prices_are_told_by_the_month(account: Account) -> None:
    stack(account)
    found = swept()
    cluster = 5 * Decimal("0.808") + 3 * Decimal("0.1567")
    assert found.the("HDInsight cluster").usd_month == cluster * 730
    assert found.the("NAT gateway").usd_month == Decimal("0.045") * 730
    assert found.the("storage account").usd_month is None
    assert "at least 3,328.87 USD a month, 1 without a price. To delete them, in this order:" in found.said


def test_a_size_without_a_price_leaves_the_cluster_without_one(account: Account) -> None:
    group = account.group("caffe-spark-demo", location="norwayeast")
    account.cluster(group, "caffe-demo", location="norwayeast")
    assert swept().the("HDInsight cluster").usd_month is None


def test_things_without_tags_in_a_group_of_ours_are_the_stacks(account: Account) -> None:
    stack(account)
    assert swept().the("network interface").stack == "demo"


def test_a_thing_of_ours_in_a_group_of_somebody_elses_is_removed_alone(account: Account) -> None:
    group = account.group("theirs", tags=THEIRS)
    id_ = account.add(group, NAT, "nat")
    account.add(group, VNET, "vnet", tags=THEIRS)
    found = swept()
    assert found.kinds == ["NAT gateway"]
    assert f"az resource delete --ids {id_} --subscription {SUBSCRIPTION}" in found.said


def test_a_group_that_is_going_is_no_leak(account: Account) -> None:
    group = account.group("caffe-spark-demo", state="Deleting")
    account.add(group, NAT, "nat")
    assert swept().found.clean


def test_another_projects_things_are_untouched_and_nothing_is_changed(account: Account) -> None:
    group = account.group("theirs", tags=THEIRS)
    account.add(group, NAT, "nat", tags=THEIRS)
    assert swept().found.clean
    assert {method for method, _ in account.asked} == {"GET"}


def test_tags_are_found_in_whatever_letters(account: Account) -> None:
    group = account.group("caffe-spark-demo", tags={"Project": "caffe-spark", "stack": "demo"})
    account.add(group, NAT, "nat", tags={"Project": "caffe-spark", "STACK": "demo"})
    assert {leak.stack for leak in swept().found.leaks} == {"demo"}


def test_only_the_named_stacks_things_are_leaks(account: Account) -> None:
    stack(account)
    assert swept("other").found.clean
    assert "7 left (Project=caffe-spark, Stack=demo)" in swept("demo").said


def test_what_a_living_stack_uses_is_told_apart_and_fails_nothing(account: Account) -> None:
    stack(account)
    found = swept(alive=["demo"])
    assert found.found.clean
    assert "in use by stack demo: at least 3,328.87 USD a month, 1 without a price for 7 things" in found.said
    assert "az group delete" not in found.said


# ---- storage that outlives clusters


def kept(account: Account) -> None:
    group = account.group("caffe-spark-keep", tags=KEEP)
    account.add(group, STORAGE, "caffesparkkept", tags=KEEP)


@pytest.mark.parametrize("alive", [["keep"], []])
def test_a_stack_of_storage_is_kept_up_here_or_not(alive: list[str], account: Account) -> None:
    kept(account)
    found = swept(alive=alive, storage=["keep"])
    assert found.found.clean
    assert "kept by storage stack keep: 1 without a price for 2 things" in found.said
    assert "0 left" in found.said


def test_without_a_file_that_says_so_it_is_a_leak(account: Account) -> None:
    kept(account)
    assert swept().kinds == ["storage account", "resource group"]


def test_a_destroyed_stack_of_storage_that_is_asked_about_is_a_leak(account: Account) -> None:
    kept(account)
    assert swept("keep", storage=["keep"]).kinds == ["storage account", "resource group"]
    assert swept("keep", alive=["keep"], storage=["keep"]).found.clean


def test_a_cluster_is_no_storage(account: Account) -> None:
    kept(account)
    account.cluster("/subscriptions/x/resourceGroups/none".replace("x", SUBSCRIPTION), "c", tags=KEEP)
    assert swept(storage=["keep"]).kinds == ["HDInsight cluster"]


def test_a_thing_in_a_group_that_is_kept_has_a_command_of_its_own(account: Account) -> None:
    kept(account)
    id_ = account.add(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/caffe-spark-keep", NAT, "nat", tags=KEEP)
    found = swept(storage=["keep"])
    assert found.kinds == ["NAT gateway"]
    assert f"az resource delete --ids {id_} --subscription {SUBSCRIPTION}" in found.said.splitlines()


def test_a_cluster_that_left_while_its_storage_stays_is_told_apart(account: Account) -> None:
    stack(account)
    kept(account)
    found = swept(storage=["keep"])
    assert "caffesparkkept" not in {leak.name for leak in found.found.leaks}
    assert len(found.found.kept) == 2


# ---- where


@pytest.mark.parametrize("state", ["Enabled", "Warned", "PastDue", "Disabled"])
def test_every_subscription_is_searched_in_use_or_not(state: str, account: Account) -> None:
    """Resources of a subscription that is past due still run and are billed."""
    for number, how in (("2", state), ("3", "Deleted")):
        account.subscriptions.append({"subscriptionId": number, "displayName": number, "state": how})
    account.add(account.group("caffe-spark-demo", sub="2"), NAT, "nat")
    found = swept()
    assert found.kinds == ["NAT gateway", "resource group"]
    assert "--subscription 2" in found.said
    assert "searching 2 subscriptions" in found.said
    assert not any("/subscriptions/3/" in path for _, path in account.asked)


def test_only_the_given_one_is_searched(account: Account) -> None:
    account.subscriptions.append({"subscriptionId": "2", "displayName": "Teaching", "state": "Enabled"})
    account.add(account.group("caffe-spark-demo", sub="2"), NAT, "nat")
    assert swept(subscription=SUBSCRIPTION).found.clean
    assert not swept(subscription="2").found.clean


def test_only_the_named_regions_are_searched(account: Account) -> None:
    stack(account)
    assert swept(regions=["eastus"]).found.clean
    assert len(swept(regions=["eastus", "westeurope"]).kinds) == 7


def test_a_thing_whose_group_is_elsewhere_has_a_command_of_its_own(account: Account) -> None:
    id_ = account.add(account.group("caffe-spark-demo", location="eastus"), NAT, "nat")
    assert (
        swept(regions=["westeurope"]).the("NAT gateway").command.startswith(f"az resource delete --ids {id_}")
    )


def test_a_region_that_there_is_not_is_refused(account: Account) -> None:
    with pytest.raises(ConfigError, match=r"region 'westeurop': Azure has .*westeurope.*Use one of these"):
        swept(regions=["westeurop"])


def test_lists_are_read_to_their_end(account: Account) -> None:
    account.page = 1
    stack(account)
    assert len(swept().kinds) == 7


# ---- what cannot be searched


def test_a_subscription_that_may_not_be_read_is_no_0_left(account: Account) -> None:
    account.subscriptions.append({"subscriptionId": "2", "displayName": "Teaching", "state": "Enabled"})
    account.refuse("/subscriptions/2/", 403, "AuthorizationFailed", "You may not.")
    stack(account)
    found = swept()
    assert not found.found.clean
    assert len(found.kinds) == 7
    assert (
        "not searched: subscription Teaching: everything: this login lacks the permission: You may not."
        in found.said
    )


def test_nothing_found_where_not_everything_was_searched_is_no_success(account: Account) -> None:
    account.refuse("/resourcegroups", 403, "AuthorizationFailed", "You may not.")
    found = swept()
    assert not found.found.clean
    assert found.said.splitlines()[-1] == (
        "Nothing was found (Project=caffe-spark), but not everything was searched."
    )


def test_throttling_beyond_our_patience_is_no_0_left(account: Account) -> None:
    account.refuse("/resources", 429, "TooManyRequests", "Slow down.")
    found = swept()
    assert not found.found.clean
    assert "Azure throttles these calls, or is busy: Slow down." in found.said


def test_a_login_that_sees_nothing_is_told_so(account: Account) -> None:
    account.subscriptions.clear()
    with pytest.raises(ConfigError, match="this login has none"):
        swept()


def test_without_a_login_nothing_is_called_clean(no_login: None) -> None:
    with pytest.raises(NoCredentials, match="nobody is logged in"):
        swept()


def test_without_a_way_to_azure_nothing_is_called_clean(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(azure.ENDPOINT, f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(ServiceDown, match="cannot be reached"):
        swept()


def test_every_kind_has_its_place_and_what_is_unknown_comes_before_the_group() -> None:
    assert all(rank(kind) < rank("other") < rank("resource group") for kind in KINDS.values())
    assert kind_of("Microsoft.Web/sites") == "other"
