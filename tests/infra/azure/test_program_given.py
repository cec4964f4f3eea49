"""The program in a company's network, with its storage and identity: what it registers, and what not."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from bootstrap.cluster import Blob, ClusterDocument
from infra.azure.identity import BLOB_DATA_OWNER
from tests.infra.azure.conftest import SUBSCRIPTION, AzureMocks, AzureProgram, Recording
from tests.infra.azure.test_program import (
    ACCOUNT,
    BLOB,
    CLUSTER,
    CONTAINER,
    ENDPOINT,
    IDENTITY,
    OWN_TAGS,
    ROLE,
    UNTAGGED,
)

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/company"
VNET_ID = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/corp"
SUBNET_ID = f"{VNET_ID}/subnets/hdinsight"
ACCOUNT_ID = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/corpdata"
SCRIPTS_ID = f"{GROUP}-scripts/providers/Microsoft.Storage/storageAccounts/corpscripts"
IDENTITY_ID = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hdi-storage"
NETWORK: dict[str, Any] = {"subnetId": SUBNET_ID}
PRIVATE = {**NETWORK, "privateLink": "true", "resourceProviderConnection": "outbound"}
STORAGE = {"storageAccountId": ACCOUNT_ID, "container": "team"}
BY_IDENTITY = {**STORAGE, "storageMode": "wasbs-msi", "identityId": IDENTITY_ID}
ASSIGNED = {**BY_IDENTITY, "assignRole": "true"}
NEW_IDENTITY = {**STORAGE, "storageMode": "wasbs-msi", "assignRole": "true"}
LAKE = {**BY_IDENTITY, "storageMode": "abfss-msi", "scriptsAccountId": SCRIPTS_ID}
OWN_STORAGE = {"storageMode": "wasbs-msi", "identityId": IDENTITY_ID}
ALL = {**NETWORK, **BY_IDENTITY, "adminCidrs": "[]"}
VARIANTS = [NETWORK, PRIVATE, STORAGE, BY_IDENTITY, ASSIGNED, NEW_IDENTITY, LAKE, OWN_STORAGE, ALL]
EVERY = pytest.mark.parametrize("config", VARIANTS, ids="-".join)
KINDS = {
    "subnetId": ("azure-native:network:",),
    "storageAccountId": (ACCOUNT, CONTAINER, "azure-native:storage:BlobServiceProperties"),
    "identityId": (IDENTITY,),
}
"""Setting → types of which the stack registers nothing where it is given."""


@cache
def recorded(**config: str) -> Recording:
    return AzureProgram([]).run(AzureMocks(), **config)


def properties(**config: str) -> dict[str, Any]:
    found: dict[str, Any] = recorded(**config).the(CLUSTER).inputs["properties"]
    return found


@EVERY
def test_nothing_that_is_given_is_registered_so_that_nothing_of_it_is_changed_or_deleted(
    config: dict[str, str],
) -> None:
    recording = recorded(**config)
    for setting, kinds in KINDS.items():
        if setting in config:
            assert not [one.name for one in recording.azure if one.type.startswith(kinds)]
    assert not {one.id for one in recording.resources} & set(config.values())
    if "storageAccountId" in config:
        assert "storage-contents" not in {one.name for one in recording.resources}, "nothing to protect"


@EVERY
def test_all_that_is_registered_is_in_the_stacks_own_group_with_its_tags(config: dict[str, str]) -> None:
    recording = recorded(**config, tags='{"CostCentre": "42"}')
    for one in recording.azure:
        if one.type not in UNTAGGED:
            assert one.inputs["tags"] == {"CostCentre": "42", **OWN_TAGS}, one.name
        if one.type not in (ROLE, BLOB):
            assert one.inputs["resourceGroupName"] == "caffe-spark-test", one.name
    (provider,) = {one.provider for one in recording.azure}
    assert {call.provider for call in recording.invokes} <= {provider}


@EVERY
def test_the_cluster_is_in_the_subnet_and_waits_for_what_the_stack_makes(config: dict[str, str]) -> None:
    recording = recorded(**config)
    for role in properties(**config)["computeProfile"]["roles"]:
        network = role["virtualNetworkProfile"]
        assert (network == {"id": VNET_ID, "subnet": SUBNET_ID}) == ("subnetId" in config)
    waits = recording.the(CLUSTER).depends_on
    assert recording.named("node-script-blob").urn in waits
    if recording.of(ROLE):
        assert recording.the(ROLE).urn in waits


def test_the_stacks_own_account_admits_the_given_subnet() -> None:
    (rule,) = recorded(**NETWORK).the(ACCOUNT).inputs["networkRuleSet"]["virtualNetworkRules"]
    assert rule["virtualNetworkResourceId"] == SUBNET_ID


def test_private_endpoints_and_names_are_the_networks_owners() -> None:
    recording = recorded(**PRIVATE)
    assert properties(**PRIVATE)["networkProperties"]["privateLink"] == "Enabled"
    assert not recording.of(ENDPOINT)
    assert not [one for one in recording.azure if one.type.startswith("azure-native:privatedns:")]
    assert "private endpoints" in recording.outputs["private_link"]


def test_a_given_account_is_used_by_its_key_and_holds_the_script() -> None:
    recording = recorded(**STORAGE)
    (account,) = properties(**STORAGE)["storageProfile"]["storageaccounts"]
    assert account == {
        "name": "corpdata.blob.core.windows.net",
        "isDefault": True,
        "container": "team",
        "key": "a2V5-corpdata",
    }
    (call,) = recording.invokes
    assert call.args == {"accountName": "corpdata", "resourceGroupName": "company"}
    blob = recording.the(BLOB).inputs
    assert (blob["accountName"], blob["resourceGroupName"], blob["containerName"]) == (
        "corpdata",
        "company",
        "artifacts",
    )
    assert recording.the(BLOB).options["retain_on_delete"]
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert isinstance(cluster.storage, Blob)
    assert cluster.shared_storage == "wasbs://team@corpdata.blob.core.windows.net"


def test_a_given_data_lake_has_its_scripts_in_the_other_account_and_group() -> None:
    recording = recorded(**LAKE)
    lake, scripts = properties(**LAKE)["storageProfile"]["storageaccounts"]
    assert (lake["name"], lake["fileSystem"], lake["resourceId"]) == (
        "corpdata.dfs.core.windows.net",
        "team",
        ACCOUNT_ID,
    )
    assert (scripts["name"], scripts["key"]) == ("corpscripts.blob.core.windows.net", "a2V5-corpscripts")
    assert recording.the(BLOB).inputs["resourceGroupName"] == "company-scripts"


@pytest.mark.parametrize("config", [BY_IDENTITY, ASSIGNED, OWN_STORAGE, ALL], ids="-".join)
def test_a_given_identity_is_the_clusters(config: dict[str, str]) -> None:
    assert recorded(**config).the(CLUSTER).inputs["identity"] == {
        "type": "UserAssigned",
        "userAssignedIdentities": {IDENTITY_ID: {}},
    }
    account = properties(**config)["storageProfile"]["storageaccounts"][0]
    assert account["msiResourceId"] == IDENTITY_ID
    assert "key" not in account


def test_a_role_on_a_given_account_is_assigned_by_setting_only() -> None:
    assert not recorded(**BY_IDENTITY).of(ROLE)
    role = recorded(**ASSIGNED).the(ROLE).inputs
    assert (role["scope"], role["principalId"]) == (ACCOUNT_ID, "principal of hdi-storage")
    assert role["roleDefinitionId"].endswith(BLOB_DATA_OWNER)
    new = recorded(**NEW_IDENTITY)
    assert new.the(ROLE).inputs["scope"] == ACCOUNT_ID
    assert new.the(ROLE).inputs["principalId"] == new.the(IDENTITY).outputs["principalId"]


def test_on_the_stacks_own_account_a_given_identity_gets_its_role() -> None:
    recording = recorded(**OWN_STORAGE)
    role = recording.the(ROLE).inputs
    assert role["scope"] == recording.the(ACCOUNT).id
    assert role["principalId"] == "principal of hdi-storage"


def test_two_clusters_of_one_identity_and_one_storage_stack_need_its_role_once() -> None:
    """Azure refuses a second assignment."""
    kept = AzureProgram([]).run(part="storage", storageMode="wasbs-msi").outputs["storage"]
    mocks = [
        AzureMocks(stacks={"organization/caffe-spark/keep": {"storage": {**kept, "resource_group": "kept"}}})
        for _ in range(2)
    ]
    shared = {**OWN_STORAGE, "storageStack": "keep"}
    assert AzureProgram([]).run(mocks[0], **shared).of(ROLE)
    assert not AzureProgram([]).run(mocks[1], **shared, assignRole="false").of(ROLE)


def test_the_subscription_is_that_of_what_is_given() -> None:
    recording = AzureProgram([]).run(subscription="", **NETWORK)
    assert recording.the("pulumi:providers:azure-native").inputs["subscriptionId"] == SUBSCRIPTION


def test_a_cost_leaves_out_the_network_that_is_given() -> None:
    assert "NAT" not in str(recorded(**NETWORK).outputs["cluster"]["prices"])
    assert "NAT" in str(recorded(**STORAGE).outputs["cluster"]["prices"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_fewer_workers_than_copies_are_warned_of_with_hdinsights_minimum(
    monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", said.append)
    AzureProgram([]).run(workers=workers)
    (line,) = said
    assert f"caffe-spark:workers = {workers}: HDInsight creates clusters from 1 worker on" in line
    assert line.endswith("Run `pulumi config set workers 3 --stack test`.")


def test_a_budget_that_cannot_be_held_for_want_of_prices_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", said.append)
    recording = AzureProgram([]).run(region="uksouth", budget='{"perHour": 5}')
    (line,) = said
    assert line.startswith("caffe-spark:budget.perHour = 5: the estimate is unknown an hour, since there is")
    assert recording.outputs["cost"].startswith("unknown: no price of ")
