"""The whole program for a stack on Azure, against the recording engine: what is registered, and what is said.

That Azure's interface takes the cluster's body, its schema shows (docs/azure.md). That HDInsight makes a
cluster of it, and that Private Link, identities and script actions get along, nothing here can.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import StringAsset

from bootstrap.cluster import Blob, ClusterDocument, DeclaredNode, HdInsight, Yarn
from infra.azure.identity import BLOB_DATA_OWNER
from infra.azure.settings import sizes
from tests.infra.azure.conftest import (
    REGION,
    SUBSCRIPTION,
    AzureMocks,
    AzureProgram,
    Recording,
    storage_file,
)
from tests.infra.recorder import ROOT
from tests.offline import no_login

__all__ = ["no_login"]

CLUSTER = "azure-native:hdinsight:Cluster"
ACCOUNT = "azure-native:storage:StorageAccount"
BLOB = "azure-native:storage:Blob"
CONTAINER = "azure-native:storage:BlobContainer"
ROLE = "azure-native:authorization:RoleAssignment"
IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
NSG = "azure-native:network:NetworkSecurityGroup"
SUBNET = "azure-native:network:Subnet"
NAT = "azure-native:network:NatGateway"
ENDPOINT = "azure-native:network:PrivateEndpoint"
PROVIDER = "pulumi:providers:azure-native"
OTHER = "99999999-0000-0000-0000-000000000000"
"""A subscription beside the stack's own."""
OWN_TAGS = {"Project": "caffe-spark", "Stack": "test", "ManagedBy": "pulumi"}
UNTAGGED = {
    "azure-native:authorization:RoleAssignment",
    "azure-native:hdinsight:ExtensionAzureMonitorAgentStatus",
    "azure-native:network:PrivateDnsZoneGroup",
    "azure-native:network:Subnet",
    "azure-native:storage:Blob",
    "azure-native:storage:BlobContainer",
    "azure-native:storage:BlobServiceProperties",
}
"""Types that Azure gives no tags to."""
MSI = {"storageMode": "wasbs-msi"}
ABFSS = {"storageMode": "abfss-msi"}
LOAD = {"autoscale": '{"min": 3, "max": 6}'}
MORNING = {"days": ["Monday"], "time": "08:00", "min": 3, "max": 3}
CLOCK = {"autoscale": json.dumps({"timeZone": "UTC", "schedule": [MORNING]})}
PRIVATE = {"privateLink": "true", "resourceProviderConnection": "outbound"}
LOGS = {"logAnalytics": "true"}
ALONE: dict[str, Any] = {"part": "storage"}
ELSEWHERE: dict[str, Any] = {"storageStack": "keep"}
KEEP = "organization/caffe-spark/keep"
VARIANTS: list[dict[str, str]] = [{}, MSI, ABFSS, LOAD, CLOCK, PRIVATE, LOGS, ELSEWHERE, ELSEWHERE | ABFSS]
EVERY = pytest.mark.parametrize(
    "config", VARIANTS, ids=lambda config: "-".join(config.values())[:24] or "plain"
)
MODES = pytest.mark.parametrize("config", [{}, MSI, ABFSS], ids=["wasbs-key", "wasbs-msi", "abfss-msi"])


def kept(mode: str) -> dict[str, Any]:
    """Outputs of a storage stack, as a stack reference reads them."""
    document: dict[str, Any] = recorded(**ALONE, storageMode=mode).outputs["storage"]
    return {**document, "resource_group": "kept-group"}


@cache
def recorded(**config: str) -> Recording:
    mode = config.get("storageMode", "wasbs-key")
    stacks = {KEEP: {"storage": kept(mode)}} if "storageStack" in config else {}
    return AzureProgram([]).run(AzureMocks(stacks=stacks), **config)


def properties(**config: str) -> dict[str, Any]:
    found: dict[str, Any] = recorded(**config).the(CLUSTER).inputs["properties"]
    return found


def roles(**config: str) -> dict[str, dict[str, Any]]:
    return {role["name"]: role for role in properties(**config)["computeProfile"]["roles"]}


def accounts(**config: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = properties(**config)["storageProfile"]["storageaccounts"]
    return found


def script(recording: Recording) -> str:
    asset = recording.the(BLOB).inputs["source"]
    assert isinstance(asset, StringAsset)
    return str(asset.text)


# The document


@MODES
def test_the_cluster_output_is_the_document_that_bootstrap_reads(config: dict[str, str]) -> None:
    recording = recorded(**config)
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    name = recording.the(CLUSTER).inputs["clusterName"]
    assert (cluster.provider, cluster.head.name, type(cluster.head)) == ("azure", "headnode0", DeclaredNode)
    assert cluster.head.address == f"{name}-ssh.azurehdinsight.net"
    assert (cluster.nodes, cluster.roles) == ((cluster.head,), ("hdinsight",))
    assert isinstance(cluster.members, HdInsight)
    assert cluster.members.subscription == SUBSCRIPTION
    assert (cluster.members.resource_group, cluster.members.name) == ("caffe-spark-test", name)
    assert (cluster.members.region, cluster.members.worker_count) == (REGION, 3)
    assert isinstance(cluster.scheduler, Yarn)
    assert (cluster.spark_master, cluster.scheduler.resource_manager) == ("yarn", "http://headnodehost:8088")
    assert cluster.spark_secret.get_secret_value() == "value of spark-secret"
    assert (cluster.ssh.user, cluster.ssh.port, cluster.ssh.jump) == ("sshuser", 22, True)
    assert cluster.ssh.private_key is not None


def test_containers_leave_room_for_the_machines_own() -> None:
    cluster = ClusterDocument.from_outputs("test", recorded(workerSize="Standard_E32ads_v5").outputs)
    assert isinstance(cluster.scheduler, Yarn)
    assert (cluster.scheduler.container_memory_mb, cluster.scheduler.container_cores) == (196608, 32)
    assert (cluster.worker.memory_mb, cluster.worker.cores, cluster.worker.gpus) == (196608, 32, 0)


def test_people_reach_the_storage_as_the_cluster_does() -> None:
    by_key = ClusterDocument.from_outputs("test", recorded().outputs)
    assert isinstance(by_key.storage, Blob)
    assert by_key.storage.key is not None
    assert by_key.storage.key.get_secret_value() == f"a2V5-{by_key.storage.account}"
    by_identity = ClusterDocument.from_outputs("test", recorded(**MSI).outputs)
    assert isinstance(by_identity.storage, Blob)
    assert by_identity.storage.key is None
    lake = ClusterDocument.from_outputs("test", recorded(**ABFSS).outputs)
    assert isinstance(lake.storage, Blob)
    assert lake.storage.key is None
    assert lake.shared_storage.startswith("abfss://cluster@")
    assert lake.shared_storage.endswith(".dfs.core.windows.net")


@pytest.fixture
def pair(tmp_path: Any) -> dict[str, Any]:
    # the public half of a key of 2048 bits, which nobody has the other half of
    number = b"\x00" + bytes([0xC1]) + b"\x5a" * 255
    parts = [b"ssh-rsa", b"\x01\x00\x01", number]
    data = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    import base64

    file = tmp_path / "id_rsa.pub"
    file.write_text(f"ssh-rsa {base64.b64encode(data).decode()} me@home\n")
    return {"publicKeyFile": str(file), "privateKeyFile": str(tmp_path / "id_rsa")}


def test_a_key_pair_of_ones_own_is_used_and_no_key_is_made(pair: dict[str, Any]) -> None:
    recording = AzureProgram([]).run(**pair)
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert (cluster.ssh.private_key, cluster.ssh.private_key_file) == (None, pair["privateKeyFile"])
    assert "operator-key" not in {one.name for one in recording.resources}
    (key,) = _ssh_keys(recording)
    assert key.startswith("ssh-rsa AAAA")
    assert "me@home" not in key
    assert recording.outputs["connect"].startswith(f"ssh -i {pair['privateKeyFile']} sshuser@")


def _ssh_keys(recording: Recording) -> set[str]:
    found = recording.the(CLUSTER).inputs["properties"]["computeProfile"]["roles"]
    profiles = [role["osProfile"]["linuxOperatingSystemProfile"] for role in found]
    assert not any("password" in profile for profile in profiles), "SSH by key only"
    return {key["certificateData"] for profile in profiles for key in profile["sshProfile"]["publicKeys"]}


def test_else_the_stack_makes_a_key_of_the_kind_that_hdinsight_takes() -> None:
    assert _ssh_keys(recorded()) == {"ssh-rsa operator-key"}


# Secrets


@EVERY
def test_of_the_outputs_only_the_document_and_the_password_are_secret(config: dict[str, str]) -> None:
    assert recorded(**config).secret_outputs == {"cluster", "gateway_password"}


def test_a_storage_alone_says_nothing_secret() -> None:
    assert recorded(**ALONE).secret_outputs == frozenset()


@EVERY
def test_secrets_are_in_nothing_that_is_not_marked(config: dict[str, str]) -> None:
    recording = recorded(**config)
    secrets = ("value of spark-secret", "private operator-key", "password of", "a2V5-", "key of logs")
    for one in recording.resources:
        plain = {key: value for key, value in one.inputs.items() if key not in one.secrets}
        assert not [secret for secret in secrets if secret in json.dumps(plain, default=str)], one.name
    others = {key: v for key, v in recording.outputs.items() if key not in recording.secret_outputs}
    assert not [secret for secret in secrets if secret in json.dumps(others)]


def test_on_the_wire_the_mark_sits_on_the_password_and_the_key_themselves() -> None:
    """Else everything about the cluster would be hidden in previews."""
    marked = recorded().the(CLUSTER).secret_paths
    assert marked == {
        "properties.clusterDefinition.configurations.gateway.restAuthCredential.password",
        "properties.storageProfile.storageaccounts.0.key",
    }


def test_a_password_of_ones_own_is_taken_and_none_is_made() -> None:
    recording = AzureProgram([]).run(encrypted=("gatewayPassword",), gatewayPassword="Tr0ub4dor+and-3")
    gateway = recording.the(CLUSTER).inputs["properties"]["clusterDefinition"]["configurations"]["gateway"]
    assert gateway["restAuthCredential.password"] == "Tr0ub4dor+and-3"
    assert "gateway-password" not in {one.name for one in recording.resources}
    assert "gateway_password" in recording.secret_outputs


def test_a_password_in_plain_text_is_refused_before_anything_is_made(azure_program: AzureProgram) -> None:
    line = azure_program.refused(gatewayPassword="Tr0ub4dor+and-3")
    assert "plain text" in line
    assert "config set --secret gatewayPassword --stack test" in line
    assert "Tr0ub4dor" not in line


# Storage


def test_by_key_the_cluster_has_one_account_and_no_identity() -> None:
    recording = recorded()
    (account,) = accounts()
    name = recording.the(ACCOUNT).inputs["accountName"]
    assert account == {
        "name": f"{name}.blob.core.windows.net",
        "isDefault": True,
        "container": "cluster",
        "key": f"a2V5-{name}",
    }
    assert not recording.of(IDENTITY)
    assert not recording.of(ROLE)
    assert "identity" not in recording.the(CLUSTER).inputs


def test_by_identity_the_cluster_gets_no_key() -> None:
    recording = recorded(**MSI)
    (account,) = accounts(**MSI)
    identity = recording.the(IDENTITY).id
    assert account == {
        "name": f"{recording.the(ACCOUNT).inputs['accountName']}.blob.core.windows.net",
        "isDefault": True,
        "container": "cluster",
        "resourceId": recording.the(ACCOUNT).id,
        "msiResourceId": identity,
    }
    assert recording.the(CLUSTER).inputs["identity"] == {
        "type": "UserAssigned",
        "userAssignedIdentities": {identity: {}},
    }


def test_a_data_lake_has_a_second_account_for_scripts() -> None:
    recording = recorded(**ABFSS)
    lake, scripts = accounts(**ABFSS)
    made = recording.of(ACCOUNT)
    assert made["storage-account"].inputs["isHnsEnabled"] is True
    assert made["storage-scripts"].inputs["isHnsEnabled"] is False
    assert lake["name"] == f"{made['storage-account'].inputs['accountName']}.dfs.core.windows.net"
    assert (lake["fileSystem"], lake["isDefault"], "key" in lake) == ("cluster", True, False)
    name = made["storage-scripts"].inputs["accountName"]
    assert scripts == {
        "name": f"{name}.blob.core.windows.net",
        "isDefault": False,
        "container": "artifacts",
        "key": f"a2V5-{name}",
    }


@pytest.mark.parametrize("config", [MSI, ABFSS, ELSEWHERE | MSI], ids=str)
def test_the_identity_owns_one_account_and_nothing_else(config: dict[str, str]) -> None:
    recording = recorded(**config)
    role = recording.the(ROLE).inputs
    document = kept("wasbs-msi") if "storageStack" in config else None
    account = document["account_id"] if document else recording.of(ACCOUNT)["storage-account"].id
    assert role["scope"] == account
    assert role["principalId"] == recording.the(IDENTITY).outputs["principalId"]
    assert role["principalType"] == "ServicePrincipal"
    where = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
    assert role["roleDefinitionId"] == f"{where}/{BLOB_DATA_OWNER}"


@pytest.mark.parametrize("config", [{}, MSI, ABFSS, ALONE], ids=str)
def test_accounts_are_private_and_what_was_deleted_can_be_taken_back(config: dict[str, str]) -> None:
    recording = recorded(**config)
    for account in recording.of(ACCOUNT).values():
        assert account.inputs["minimumTlsVersion"] == "TLS1_2"
        assert account.inputs["enableHttpsTrafficOnly"] is True
        assert account.inputs["allowBlobPublicAccess"] is False
        assert account.inputs["allowCrossTenantReplication"] is False
    for container in recording.of(CONTAINER).values():
        assert container.inputs["publicAccess"] == "None"
    kept_back = recording.of("azure-native:storage:BlobServiceProperties")
    assert len(kept_back) == len(recording.of(ACCOUNT))
    for service in kept_back.values():
        assert service.inputs["deleteRetentionPolicy"] == {"enabled": True, "days": 14}
        assert service.inputs["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 14}


@MODES
def test_an_account_of_one_cluster_lets_in_its_subnet_operators_and_hdinsight(config: dict[str, str]) -> None:
    recording = recorded(**config)
    for account in recording.of(ACCOUNT).values():
        rules = account.inputs["networkRuleSet"]
        assert (rules["defaultAction"], rules["bypass"]) == ("Deny", "AzureServices")
        (subnet,) = rules["virtualNetworkRules"]
        assert subnet["virtualNetworkResourceId"] == recording.the(SUBNET).id
        # No prefix: the account's firewall takes none of 32.
        assert [rule["iPAddressOrRange"] for rule in rules["ipRules"]] == ["198.18.0.7"]
    (endpoint,) = recording.the(SUBNET).inputs["serviceEndpoints"]
    assert endpoint == {"service": "Microsoft.Storage"}


def test_a_storage_that_outlives_clusters_cannot_know_their_subnets() -> None:
    recording = recorded(**ALONE)
    assert recording.the(ACCOUNT).inputs["networkRuleSet"]["defaultAction"] == "Allow"
    kinds = {one.type for one in recording.azure}
    assert not kinds & {CLUSTER, NAT, SUBNET, BLOB, IDENTITY}, "nothing that bills by the hour"


def test_a_cluster_takes_the_storage_of_another_stack_and_makes_none() -> None:
    recording, document = recorded(**ELSEWHERE), kept("wasbs-key")
    assert not recording.of(ACCOUNT)
    assert not recording.of(CONTAINER)
    (account,) = accounts(**ELSEWHERE)
    assert account["name"] == f"{document['account']}.blob.core.windows.net"
    assert account["container"] == document["container"]
    assert recording.the(BLOB).inputs["resourceGroupName"] == "kept-group"
    (asked,) = [call.args for call in recording.invokes]
    assert asked == {"accountName": document["account"], "resourceGroupName": "kept-group"}
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert cluster.shared_storage == f"wasbs://cluster@{document['account']}.blob.core.windows.net"


def test_a_stack_is_meant_by_its_full_name_where_that_is_given() -> None:
    stacks = {"acme/other/keep": {"storage": kept("wasbs-key")}}
    recording = AzureProgram([]).run(AzureMocks(stacks=stacks), storageStack="acme/other/keep")
    (account,) = recording.the(CLUSTER).inputs["properties"]["storageProfile"]["storageaccounts"]
    assert account["name"] == f"{kept('wasbs-key')['account']}.blob.core.windows.net"


# The cluster


def test_it_is_hdinsight_5_1_with_spark() -> None:
    found = properties()
    assert (found["clusterVersion"], found["osType"], found["tier"]) == ("5.1", "Linux", "Standard")
    assert found["clusterDefinition"]["kind"] == "SPARK"
    assert found["clusterDefinition"]["componentVersion"] == {"Spark": "3.3"}
    assert found["minSupportedTlsVersion"] == "1.2"
    gateway = found["clusterDefinition"]["configurations"]["gateway"]
    assert gateway["restAuthCredential.isEnabled"] is True
    assert gateway["restAuthCredential.username"] == "admin"
    assert found["encryptionInTransitProperties"] == {"isEncryptionInTransitEnabled": True}
    assert "diskEncryptionProperties" not in found
    assert properties(encryptionAtHost="true")["diskEncryptionProperties"] == {"encryptionAtHost": True}


@EVERY
def test_roles_have_their_counts_sizes_and_the_whole_id_of_the_subnet(config: dict[str, str]) -> None:
    recording, found = recorded(**config), roles(**config)
    counts = {name: role["targetInstanceCount"] for name, role in found.items()}
    assert counts == {"headnode": 2, "workernode": 3, "zookeepernode": 3}
    for role in found.values():
        assert role["hardwareProfile"]["vmSize"] in sizes.table().sizes
        network = role["virtualNetworkProfile"]
        assert network["id"] == recording.the("azure-native:network:VirtualNetwork").id
        assert network["subnet"] == recording.of(SUBNET)["network-nodes"].id


def test_autoscale_by_load_has_bounds() -> None:
    scale = roles(**LOAD)["workernode"]["autoscaleConfiguration"]
    assert scale == {"capacity": {"minInstanceCount": 3, "maxInstanceCount": 6}}
    assert "autoscaleConfiguration" not in roles()["workernode"]
    assert "autoscaleConfiguration" not in roles(**LOAD)["headnode"]


def test_autoscale_by_the_clock_has_one_number_for_each_time() -> None:
    scale = roles(**CLOCK)["workernode"]["autoscaleConfiguration"]
    (slot,) = scale["recurrence"]["schedule"]
    assert scale["recurrence"]["timeZone"] == "UTC"
    assert slot["days"] == ["Monday"]
    assert slot["timeAndCapacity"] == {"time": "08:00", "minInstanceCount": 3, "maxInstanceCount": 3}


@EVERY
def test_it_is_never_changed_in_place(config: dict[str, str]) -> None:
    options = recorded(**config).the(CLUSTER).options
    assert "properties" in options["replace_on_changes"]
    assert options["delete_before_replace"] is True
    assert options["create_timeout"] == "90m"
    role = "properties.computeProfile.roles"
    # What HDInsight makes of other tags on a cluster that is there is not known.
    expected = {"tags", f"{role}[0].scriptActions", f"{role}[1].scriptActions"}
    if "autoscale" in config:
        expected |= {f"{role}[1].targetInstanceCount"}
    assert set(options["ignore_changes"]) == expected
    places = [one["name"] for one in properties(**config)["computeProfile"]["roles"]]
    assert places[:2] == ["headnode", "workernode"], "where the options point to"


@EVERY
def test_the_cluster_comes_when_network_storage_script_and_rights_are_there(config: dict[str, str]) -> None:
    recording = recorded(**config)
    waits = recording.the(CLUSTER).depends_on
    needed = ["network-nodes", "network-nat", "network-firewall", "node-script-blob"]
    needed += [] if "storageStack" in config else ["storage-files", "storage-artifacts"]
    needed += ["identity-storage"] if "msi" in config.get("storageMode", "") else []
    for name in needed:
        assert recording.named(name).urn in waits, f"the cluster does not wait for {name}"
    if "storageStack" not in config:
        assert recording.named("storage-artifacts").urn in recording.the(BLOB).depends_on


# Its script


@EVERY
def test_the_script_lies_where_its_uri_says_under_the_name_of_its_content(config: dict[str, str]) -> None:
    recording = recorded(**config)
    blob = recording.the(BLOB).inputs
    digest = hashlib.sha256(script(recording).encode()).hexdigest()
    assert blob["blobName"] == f"script-actions/caffe-spark-node-{digest[:16]}.sh"
    uri = f"wasbs://{blob['containerName']}@{blob['accountName']}.blob.core.windows.net/{blob['blobName']}"
    found = roles(**config)
    for name in ("headnode", "workernode"):
        (action,) = found[name]["scriptActions"]
        assert action == {"name": "caffe-spark-node", "uri": uri, "parameters": ""}
    assert "scriptActions" not in found["zookeepernode"]
    assert recording.the(BLOB).options["retain_on_delete"], "machines that join later ask for it"


@EVERY
def test_the_script_holds_no_secret_and_reaches_the_storage(config: dict[str, str]) -> None:
    recording = recorded(**config)
    text = script(recording)
    for secret in ("value of spark-secret", "private operator-key", "password of", "a2V5"):
        assert secret not in text
    assert str(recording.outputs["shared_storage"]) in text
    assert text.isascii()


# The network


@EVERY
def test_nothing_comes_in_from_everywhere(config: dict[str, str]) -> None:
    for rule in recorded(**config).the(NSG).inputs["securityRules"]:
        sources = [rule.get("sourceAddressPrefix"), *rule.get("sourceAddressPrefixes", [])]
        assert not {"*", "Internet", "0.0.0.0/0", "Any"} & set(sources)
        assert (rule["direction"], rule["access"], rule["protocol"]) == ("Inbound", "Allow", "Tcp")
        assert rule["destinationPortRange"] in ("443", "22-23")


def test_hdinsight_comes_in_only_where_it_opens_the_connections() -> None:
    tags = {rule["sourceAddressPrefix"] for rule in recorded().the(NSG).inputs["securityRules"]}
    assert tags == {"HDInsight.WestEurope", "HDInsight.WestUS", "HDInsight.EastUS", "198.18.0.7/32"}
    outbound = recorded(resourceProviderConnection="outbound")
    assert {rule["sourceAddressPrefix"] for rule in outbound.the(NSG).inputs["securityRules"]} == {
        "198.18.0.7/32"
    }
    assert properties(resourceProviderConnection="outbound")["networkProperties"] == {
        "resourceProviderConnection": "Outbound",
        "privateLink": "Disabled",
    }


def test_the_subnet_has_a_firewall_and_one_fixed_way_out() -> None:
    recording = recorded()
    subnet = recording.the(SUBNET).inputs
    assert subnet["networkSecurityGroup"] == {"id": recording.the(NSG).id}
    assert subnet["natGateway"] == {"id": recording.the(NAT).id}
    address = recording.the("azure-native:network:PublicIPAddress")
    assert (address.inputs["sku"]["name"], address.inputs["publicIPAllocationMethod"]) == (
        "Standard",
        "Static",
    )
    assert recording.the(NAT).inputs["publicIpAddresses"] == [{"id": address.id}]
    assert "subnets" not in recording.the("azure-native:network:VirtualNetwork").inputs


def test_with_private_link_the_cluster_is_reached_within_the_network_only() -> None:
    recording = recorded(**PRIVATE)
    assert properties(**PRIVATE)["networkProperties"] == {
        "resourceProviderConnection": "Outbound",
        "privateLink": "Enabled",
    }
    subnets = recording.of(SUBNET)
    assert subnets["network-nodes"].inputs["privateLinkServiceNetworkPolicies"] == "Disabled"
    endpoints = recording.of(ENDPOINT)
    groups = []
    for endpoint in endpoints.values():
        (connection,) = endpoint.inputs["privateLinkServiceConnections"]
        assert connection["privateLinkServiceId"] == recording.the(CLUSTER).id
        assert endpoint.inputs["subnet"]["id"] == subnets["network-endpoints"].id
        groups += connection["groupIds"]
    assert sorted(groups) == ["gateway", "headnode"]
    zone = recording.the("azure-native:privatedns:PrivateZone")
    assert zone.inputs["privateZoneName"] == "privatelink.azurehdinsight.net"
    for name in recording.of("azure-native:network:PrivateDnsZoneGroup").values():
        assert name.inputs["privateDnsZoneConfigs"][0]["privateDnsZoneId"] == zone.id


def test_without_operators_addresses_the_accounts_firewall_would_keep_the_program_out() -> None:
    recording = recorded(adminCidrs="[]", **PRIVATE)
    assert recording.the(ACCOUNT).inputs["networkRuleSet"]["defaultAction"] == "Allow"
    assert recording.the(NSG).inputs["securityRules"] == []


def test_logs_go_to_a_workspace_by_setting() -> None:
    recording = recorded(**LOGS)
    agent = recording.the("azure-native:hdinsight:ExtensionAzureMonitorAgentStatus")
    workspace = recording.the("azure-native:operationalinsights:Workspace")
    assert agent.inputs["workspaceId"] == workspace.outputs["customerId"]
    assert agent.inputs["clusterName"] == recording.the(CLUSTER).inputs["clusterName"]
    assert "primaryKey" in agent.secrets
    assert not recorded().of("azure-native:operationalinsights:Workspace")


# Rules that hold everywhere


@pytest.mark.parametrize("config", [*VARIANTS, ALONE], ids=str)
def test_everything_goes_through_the_stacks_own_provider(config: dict[str, str]) -> None:
    recording = recorded(**config)
    provider = recording.the(PROVIDER)
    own = f"{provider.urn}::{provider.id}"
    assert {one.provider for one in recording.azure} == {own}
    assert {call.provider for call in recording.invokes} <= {own}
    assert provider.inputs["subscriptionId"] == SUBSCRIPTION


def test_the_provider_takes_the_login_that_our_own_clients_take() -> None:
    """Else a preflight would hold with one login, and `pulumi up` fail with another."""
    assert recorded().the(PROVIDER).inputs["useDefaultAzureCredential"] in (True, "true")


def test_that_login_brings_no_subscription_so_the_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_SUBSCRIPTION_ID", OTHER)
    provider = AzureProgram([]).run(subscription="").the(PROVIDER)
    assert provider.inputs["subscriptionId"] == OTHER


def test_without_any_login_the_line_comes_before_the_first_resource(
    no_login: None, azure_program: AzureProgram
) -> None:
    assert azure_program.refused(subscription="").endswith("then run `az login`.")


@pytest.mark.parametrize("config", [*VARIANTS, ALONE], ids=str)
def test_everything_that_can_be_is_tagged_and_in_the_stacks_group_and_region(config: dict[str, str]) -> None:
    for one in recorded(**config, tags='{"CostCentre": "42"}').azure:
        if one.type not in UNTAGGED:
            assert one.inputs["tags"] == {"CostCentre": "42", **OWN_TAGS}, one.name
        if "location" in one.inputs:
            assert one.inputs["location"] in (REGION, "Global"), one.name
        if one.type not in (ROLE, BLOB):
            assert one.inputs["resourceGroupName"] == "caffe-spark-test", one.name


@EVERY
def test_the_cluster_goes_before_the_storage_is_looked_into(config: dict[str, str]) -> None:
    """Data that must not be removed end `pulumi destroy`: nothing dear may be left then."""
    if "storageStack" in config:
        return
    recording = recorded(**config)
    contents = recording.named("storage-contents").urn
    for one in [recording.the(CLUSTER), *recording.of(ENDPOINT).values()]:
        assert contents in recording.needs(one), one.name


@pytest.mark.parametrize("config", [{}, MSI, ABFSS, ALONE, ALONE | ABFSS], ids=str)
def test_nothing_of_the_storage_goes_before_it_is_looked_into(config: dict[str, str]) -> None:
    """A destroy that is refused has removed none of it: neither scripts nor what takes deleted blobs back."""
    recording = recorded(**config)
    after = recording.needs(recording.named("storage-contents"))
    for one in recording.azure:
        if one.type.startswith("azure-native:storage:") and one.type != BLOB:
            assert one.urn in after, one.name


def test_the_names_of_resources_are_like_no_other() -> None:
    """Mocks let two resources of one URN pass; the engine does not."""
    urns = [one.urn for one in recorded(**(ABFSS | PRIVATE | LOGS)).resources]
    assert len(urns) == len(set(urns))


# What ends it before the first resource


def test_an_examples_address_is_refused_before_anything_is_made(azure_program: AzureProgram) -> None:
    line = azure_program.refused(adminCidrs='["198.18.0.7/32", "203.0.113.7/32"]')
    assert "adminCidrs[1] = 203.0.113.7/32: it is reserved for documentation" in line
    assert "config set --path 'adminCidrs[1]' $(curl -s https://checkip" in line
    assert "\n" not in line


def test_where_the_storage_is_another_stacks_it_is_the_cluster_that_nobody_reaches(
    azure_program: AzureProgram,
) -> None:
    line = azure_program.refused(adminCidrs='["203.0.113.7/32"]', **ELSEWHERE)
    assert "neither SSH nor the gateway" in line
    assert "storage account" not in line


def test_a_preview_only_warns_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", said.append)
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    assert AzureProgram([]).run(adminCidrs='["203.0.113.7/32"]').the(CLUSTER)
    assert "reserved for documentation" in said[0]


def test_a_storage_lets_in_no_address_so_an_example_does_no_harm() -> None:
    assert AzureProgram([]).run(adminCidrs='["203.0.113.7/32"]', **ALONE).the(ACCOUNT)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ("storageStack = keep", "by Pulumi.keep.yaml, that stack is not a storage stack")),
        (["part: storage", "region: uksouth"], ("is in uksouth", "config set region uksouth --stack test")),
        (["part: storage", f"subscription: {OTHER}"], (f"would be in {SUBSCRIPTION}",)),
    ],
)
def test_a_storage_of_another_stack_that_does_not_fit_is_told_by_its_file(
    azure_program: AzureProgram,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    words: tuple[str, ...],
) -> None:
    storage_file(tmp_path, "keep", *lines)
    monkeypatch.chdir(tmp_path)
    line = azure_program.refused(**ELSEWHERE)
    for word in words:
        assert word in line


# What `pulumi up` ends with


def test_the_closing_block_says_who_is_there_and_what_to_type() -> None:
    outputs = recorded().outputs
    name = outputs["cluster"]["members"]["name"]
    assert re.fullmatch(r"caffe-spark-test-[0-9a-f]{6}", name)
    assert outputs["nodes"] == {
        "heads": "2 Standard_E8_V3",
        "workers": "3 Standard_E8_V3",
        "zookeepers": "3 Standard_A2_v2",
    }
    assert outputs["connect"].endswith(f"| ssh-add -q - && ssh sshuser@{name}-ssh.azurehdinsight.net")
    assert outputs["gateway"] == f"https://{name}.azurehdinsight.net"
    assert outputs["yarn_ui"] == f"https://{name}.azurehdinsight.net/yarnui"
    assert outputs["password"] == "pulumi stack output gateway_password --show-secrets --stack test"
    assert outputs["next"] == "fab build-headnode --stack test, then fab submit-mnist --stack test"
    assert outputs["destroy"].startswith("pulumi destroy --stack test")
    assert "USD/h" in outputs["cost"]
    assert " to " in recorded(**LOAD).outputs["cost"]
    assert recorded(**LOAD).outputs["nodes"]["workers"] == "3 (3 to 6, by load) Standard_E8_V3"


def test_a_name_of_ones_own_is_taken() -> None:
    outputs = recorded(clusterName="my-cluster-7").outputs
    assert outputs["cluster"]["head"]["address"] == "my-cluster-7-ssh.azurehdinsight.net"


# Reasons


def test_each_reason_for_what_checkov_finds_names_something_that_is_there() -> None:
    reasons = yaml.safe_load((ROOT / "infra" / "azure" / "checkov-reasons.yaml").read_text())
    there = {one.name for one in (*recorded(**ABFSS).resources, *recorded(**ALONE).resources)}
    for check, entry in reasons.items():
        assert re.fullmatch(r"CKV2?_AZURE_\d+", check)
        assert set(entry["where"]) <= there, check
        assert len(entry["reason"]) > 40
