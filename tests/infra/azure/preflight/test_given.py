"""Preflight of what a company gives: subnet, storage, identity, and the login's rights on each."""

from __future__ import annotations

from typing import Any

import pytest

from infra.azure.identity import BLOB_DATA_OWNER
from tests.cloud.azure_account import READER, Account
from tests.infra.azure import given
from tests.infra.azure.given import ACCOUNT, COMPANYS, IDENTITY, LAKE, NSG, ROUTES, SUBNET, TAGS, VNET, rule
from tests.infra.azure.preflight.conftest import Preflight, config

MSI = {"storageMode": "wasbs-msi", "storageAccountId": ACCOUNT, "identityId": IDENTITY}
LAKE_MSI = {
    "storageMode": "abfss-msi",
    "storageAccountId": LAKE,
    "scriptsAccountId": ACCOUNT,
    "identityId": IDENTITY,
}


def faults(preflight: Preflight, name: str) -> list[str]:
    """What a check says but that all is well."""
    return [one.detail for one in preflight.findings if one.name == name and one.verdict != "passed"]


def test_a_company_that_gives_what_is_needed_passes_and_nothing_is_changed(
    account: Account, preflight: Preflight
) -> None:
    given.network(account)
    given.storage(account)
    given.identity(account)
    preflight.has_all()
    preflight.run(config(subnetId=SUBNET, **MSI))
    assert {one.verdict for one in preflight.findings} == {"passed"}, preflight.printed
    names = [one.name for one in preflight.findings]
    for name in ("subnet", "subnet: security group", "subnet: way out", "storage account", "identity's role"):
        assert name in names
    assert "subnet: storage" not in names, "somebody else's firewall is not the subnet's matter"
    posted = {path.rpartition("/")[2] for method, path in account.asked if method != "GET"}
    assert posted == {"checkNameAvailability", "validateCreateRequest"}


def test_the_request_has_the_ids_that_were_given(account: Account, preflight: Preflight) -> None:
    given.network(account)
    given.storage(account)
    given.identity(account)
    preflight.run(config(subnetId=SUBNET, **MSI))
    (sent,) = account.validated
    (role, *_) = sent["properties"]["computeProfile"]["roles"]
    assert role["virtualNetworkProfile"] == {"id": VNET, "subnet": SUBNET}
    (storage,) = sent["properties"]["storageProfile"]["storageaccounts"]
    assert (storage["resourceId"], storage["msiResourceId"]) == (ACCOUNT, IDENTITY)
    assert sent["identity"]["userAssignedIdentities"] == {IDENTITY: {}}


def test_what_azure_says_of_a_subnet_that_is_there_is_no_note(account: Account, preflight: Preflight) -> None:
    given.network(account)
    account.errors = [{"code": "SubnetBad", "message": "No.", "errorResource": "caffe-spark-vnet"}]
    preflight.run(config(subnetId=SUBNET))
    assert "request" in preflight.failed


def test_what_azure_says_of_a_key_that_the_request_does_not_have_is_a_note(
    account: Account, preflight: Preflight
) -> None:
    given.storage(account)
    account.errors = [{"code": "StorageKey", "message": "The key of corpdata is wrong."}]
    preflight.run(config(storageAccountId=ACCOUNT))
    said = [one.detail for one in preflight.findings if one.name == "request" and one.verdict == "note"]
    assert said == [
        "about an account whose key this request does not have: The key of corpdata is wrong (StorageKey)"
    ]
    given.identity(account)
    preflight.run(config(**MSI))
    assert "request" in preflight.failed, "it has no key then, and the account is there"


# ---- the subnet


def test_a_subnet_that_is_not_there(account: Account, preflight: Preflight) -> None:
    found = preflight.run(config(subnetId=SUBNET))["subnet"]
    assert found.failed
    assert f"there is no subnet {SUBNET}, or this login does not see it" in found.detail
    assert "pulumi config set subnetId ID --stack demo" in found.fix


def test_a_subnet_that_may_not_be_read_is_skipped(account: Account, preflight: Preflight) -> None:
    given.network(account)
    account.refuse("/subnets/hdinsight", 403, "AuthorizationFailed", "You may not.")
    found = preflight.run(config(subnetId=SUBNET))["subnet"]
    assert found.verdict == "skipped"
    assert "cannot be read" in found.detail


def test_a_proxys_404_is_no_missing_subnet(account: Account, preflight: Preflight) -> None:
    account.pages["/subnets/hdinsight"] = (404, "<html><title>Blocked</title></html>")
    found = preflight.run(config(subnetId=SUBNET))["subnet"]
    assert "a web page 'Blocked' (HTTP 404)" in found.detail


def test_a_network_in_another_region(account: Account, preflight: Preflight) -> None:
    given.network(account)
    account.resources[VNET]["location"] = "North Europe"
    found = preflight.run(config(subnetId=SUBNET))["subnet"]
    assert "hdinsight is in northeurope, and the cluster would be in westeurope" in found.detail
    assert "pulumi config set region northeurope" in found.fix


def test_a_subnet_of_another_service(account: Account, preflight: Preflight) -> None:
    given.network(account, delegations=[{"properties": {"serviceName": "Microsoft.Web/serverFarms"}}])
    assert "delegated to Microsoft.Web/serverFarms" in preflight.run(config(subnetId=SUBNET))["subnet"].detail


def test_a_subnet_without_room(account: Account, preflight: Preflight) -> None:
    given.network(account, addressPrefix="10.9.8.0/27", ipConfigurations=[{}] * 9)
    found = preflight.run(config(subnetId=SUBNET, workers=4))["subnet: addresses"]
    assert found.failed
    assert found.detail.startswith("10.9.8.0/27 has 18 free addresses, and 4 workers need 20")


def test_a_subnet_of_ipv6_alone(account: Account, preflight: Preflight) -> None:
    given.network(account, addressPrefix="fd00::/64")
    assert "no IPv4 range" in preflight.run(config(subnetId=SUBNET))["subnet"].detail


def test_a_subnet_without_a_security_group(account: Account, preflight: Preflight) -> None:
    given.network(account, networkSecurityGroup=None)
    found = preflight.run(config(subnetId=SUBNET))["subnet: security group"]
    assert found.failed
    assert f"az network vnet subnet update --ids {SUBNET} --network-security-group" in found.fix


@pytest.mark.parametrize(
    ("hop", "verdict", "said"),
    [
        (None, "failed", "neither a NAT gateway nor a route to a firewall"),
        (
            {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.9.0.4"},
            "note",
            "a firewall (10.9.0.4)",
        ),
        ({"nextHopType": "VirtualNetworkGateway"}, "failed", "does not support forced tunnelling"),
        ({"nextHopType": "None"}, "failed", "its route table no way to a firewall"),
    ],
)
def test_without_a_nat_gateway_a_firewall_is_the_way_out(
    account: Account, preflight: Preflight, hop: dict[str, str] | None, verdict: str, said: str
) -> None:
    given.network(account, natGateway=None, routeTable=None if hop is None else {"id": ROUTES})
    if hop is not None:
        given.put(account, ROUTES, routes=[{"properties": {"addressPrefix": "0.0.0.0/0", **hop}}])
    found = preflight.run(config(subnetId=SUBNET))["subnet: way out"]
    assert (found.verdict, said in found.detail) == (verdict, True)


def test_the_stacks_own_account_can_only_admit_a_subnet_with_the_endpoint(
    account: Account, preflight: Preflight
) -> None:
    given.network(account, serviceEndpoints=[{"service": "Microsoft.Sql"}])
    found = preflight.run(config(subnetId=SUBNET))["subnet: storage"]
    assert found.failed
    assert "--service-endpoints Microsoft.Sql Microsoft.Storage`" in found.fix, "it sets the whole list"


def test_private_link_needs_policies_off(account: Account, preflight: Preflight) -> None:
    stack = config(subnetId=SUBNET, privateLink=True, resourceProviderConnection="outbound")
    subnet = given.network(account)
    found = preflight.run(stack)["subnet: Private Link"]
    assert "--private-link-service-network-policies Disabled" in found.fix
    subnet["privateLinkServiceNetworkPolicies"] = "Disabled"
    assert preflight.run(stack)["subnet: Private Link"].verdict == "passed"


# ---- its security group


def test_each_missing_tag_has_a_command_with_a_priority_of_its_own(
    account: Account, preflight: Preflight
) -> None:
    given.network(account, COMPANYS[-1])
    preflight.run(config(subnetId=SUBNET))
    missing = [one for one in preflight.findings if one.name == "subnet: security group" and one.failed]
    assert [one.detail for one in missing] == [
        f"corp-nsg denies HDInsight ({tag}) on port 443, by rule DenyAllInBound" for tag in TAGS
    ]
    assert "az network nsg rule create" in missing[0].fix
    assert "--nsg-name corp-nsg --name caffe-spark-HDInsight-WestEurope --priority 301 " in missing[0].fix
    assert "--priority 302 " in missing[1].fix


def test_outbound_connections_need_no_tag(account: Account, preflight: Preflight) -> None:
    given.network(account, COMPANYS[-1])
    preflight.run(config(subnetId=SUBNET, resourceProviderConnection="outbound"))
    assert faults(preflight, "subnet: security group") == []


def test_operators_that_do_not_get_in(account: Account, preflight: Preflight) -> None:
    given.network(account, *COMPANYS[:-1])
    preflight.run(config(subnetId=SUBNET))
    (said,) = faults(preflight, "subnet: security group")
    assert said == "corp-nsg denies 198.18.0.7/32 (adminCidrs) on port 22, 443, by rule DenyAllInBound"


def test_a_rule_that_denies_all_before_azures_own_cuts_machines_off(
    account: Account, preflight: Preflight
) -> None:
    given.network(account, *COMPANYS, rule("none", 4096, "*", "*", access="Deny", protocol="*"))
    preflight.run(config(subnetId=SUBNET))
    said = faults(preflight, "subnet: security group")
    assert said[0] == "corp-nsg denies the machines among themselves on all ports, by rule none"
    assert said[1].startswith("corp-nsg denies load balancers' probes")


def test_addresses_instead_of_tags_are_a_note(account: Account, preflight: Preflight) -> None:
    given.network(account, rule("old", 100, ["20.31.0.0/16"]), COMPANYS[-1])
    preflight.run(config(subnetId=SUBNET))
    notes = [one for one in preflight.findings if one.verdict == "note" and "corp-nsg" in one.detail]
    assert len(notes) == len(TAGS)
    assert "depends on the addresses in old" in notes[0].detail


def test_a_group_that_may_not_be_read_is_skipped(account: Account, preflight: Preflight) -> None:
    given.network(account)
    account.refuse("/networksecuritygroups/", 403, "AuthorizationFailed", "You may not.")
    found = preflight.run(config(subnetId=SUBNET))["subnet: security group"]
    assert found.verdict == "skipped"
    assert NSG in found.detail


# ---- storage


def test_an_account_that_is_not_there(account: Account, preflight: Preflight) -> None:
    found = preflight.run(config(storageAccountId=ACCOUNT))["storage account"]
    assert "there is no storage account" in found.detail
    assert "pulumi config set storageAccountId ID --stack demo" in found.fix


@pytest.mark.parametrize(
    ("changes", "said", "fix"),
    [
        ({"isHnsEnabled": True}, "has a hierarchical namespace, and wasbs-key needs none", "another account"),
        ({"allowSharedKeyAccess": False}, "accepts no key", "update --subscription"),
        (
            {"networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"}},
            "admits named subnets only, and the stack would make a new one",
            "Set subnetId",
        ),
        (
            {"networkAcls": {"defaultAction": "Deny", "bypass": "None"}},
            "does not except trusted services",
            "--bypass AzureServices",
        ),
    ],
)
def test_an_account_that_does_not_fit(
    account: Account, preflight: Preflight, changes: dict[str, Any], said: str, fix: str
) -> None:
    given.storage(account, **changes)
    preflight.run(config(storageAccountId=ACCOUNT))
    found = [one for one in preflight.findings if one.name == "storage account" and said in one.detail]
    assert [one.failed for one in found] == [True]
    assert fix in found[0].fix


def test_an_account_in_another_region(account: Account, preflight: Preflight) -> None:
    given.storage(account)
    account.resources[ACCOUNT]["location"] = "uksouth"
    assert (
        "both must be in one region"
        in preflight.run(config(storageAccountId=ACCOUNT))["storage account"].detail
    )


def test_a_firewall_has_to_admit_the_subnet_and_better_the_operator(
    account: Account, preflight: Preflight
) -> None:
    given.network(account)
    acls: dict[str, Any] = {"defaultAction": "Deny", "bypass": "AzureServices"}
    given.storage(account, networkAcls=acls)
    stack = config(subnetId=SUBNET, storageAccountId=ACCOUNT)
    preflight.run(stack)
    found = [one for one in preflight.findings if one.name == "storage account"]
    assert [one.verdict for one in found] == ["failed", "note"]
    assert f"network-rule add --subscription {SUBNET.split('/')[2]} " in found[0].fix
    assert found[0].fix.endswith(f"--account-name corpdata --subnet {SUBNET}`.")
    assert found[1].fix.endswith("--ip-address 198.18.0.7`.")
    acls |= {"virtualNetworkRules": [{"id": SUBNET.upper()}], "ipRules": [{"value": "198.18.0.7"}]}
    preflight.run(stack)
    assert faults(preflight, "storage account") == []


def test_containers_have_to_be_there_since_none_is_made(account: Account, preflight: Preflight) -> None:
    given.storage(account, ACCOUNT, "cluster")
    preflight.run(config(storageAccountId=ACCOUNT))
    (missing,) = [one for one in preflight.findings if one.name == "storage account" and one.failed]
    assert "there is no container" in missing.detail
    assert (
        "az storage container create --account-name corpdata --name artifacts --auth-mode login"
        in missing.fix
    )


def test_a_container_of_everybodys_is_noted(account: Account, preflight: Preflight) -> None:
    given.storage(account)
    path = f"{ACCOUNT}/blobServices/default/containers/cluster"
    account.resources[path]["properties"]["publicAccess"] = "Blob"
    preflight.run(config(storageAccountId=ACCOUNT))
    assert faults(preflight, "storage account") == ["container cluster of corpdata can be read by everybody"]


def test_a_data_lake_is_checked_with_the_account_of_its_scripts(
    account: Account, preflight: Preflight
) -> None:
    given.storage(account, LAKE, "cluster", isHnsEnabled=True, allowSharedKeyAccess=False)
    given.storage(account, ACCOUNT, "artifacts")
    given.identity(account, owner_of=LAKE)
    found = preflight.run(config(**LAKE_MSI))
    assert found["storage account"].detail.startswith("corplake with cluster; used as it is")
    assert found["scripts account"].detail.startswith("corpdata with artifacts")
    assert found["identity's role"].detail == "it is Storage Blob Data Owner on corplake"


# ---- the identity


def test_an_identity_without_its_role_has_the_command_that_gives_it(
    account: Account, preflight: Preflight
) -> None:
    given.storage(account)
    given.identity(account, owner_of=None)
    role = preflight.run(config(**MSI))["identity's role"]
    assert role.failed
    assert (
        f"az role assignment create --assignee-object-id {given.PRINCIPAL} --assignee-principal-type "
        f"ServicePrincipal --role 'Storage Blob Data Owner' --scope {ACCOUNT}"
    ) in role.fix
    assert "assignRole true" in role.fix


def test_another_role_is_not_enough_and_one_from_above_is(account: Account, preflight: Preflight) -> None:
    given.storage(account)
    given.identity(account, at=given.GROUP)
    assert preflight.run(config(**MSI))["identity's role"].verdict == "passed"
    account.roles[ACCOUNT] = [(given.PRINCIPAL, "ba92f5b4-2d11-453d-a403-e96b0029c9fe", ACCOUNT)]
    assert preflight.run(config(**MSI))["identity's role"].failed


def test_a_role_that_is_there_cannot_be_assigned_again(account: Account, preflight: Preflight) -> None:
    given.storage(account)
    given.identity(account)
    role = preflight.run(config(**MSI, assignRole=True))["identity's role"]
    assert role.failed
    assert "pulumi config rm assignRole --stack demo" in role.fix
    account.roles[ACCOUNT] = [(given.PRINCIPAL, BLOB_DATA_OWNER, given.GROUP)]
    assert preflight.run(config(**MSI, assignRole=True))["identity's role"].verdict == "passed"


def test_an_identity_that_is_not_there(account: Account, preflight: Preflight) -> None:
    found = preflight.run(config(storageMode="wasbs-msi", identityId=IDENTITY))["identity"]
    assert "there is no identity" in found.detail


# ---- rights


def test_rights_are_asked_where_they_are_needed(account: Account, preflight: Preflight) -> None:
    """A company grants its engineers nothing on the subscription, and just enough on each resource."""
    given.network(account)
    given.storage(account)
    given.identity(account)
    account.permissions_on = {SUBNET: [READER], ACCOUNT: [READER], IDENTITY: [READER]}
    preflight.run(config(subnetId=SUBNET, **MSI))
    found = {one.name: one for one in preflight.findings if one.name.startswith("rights")}
    assert found["rights"].verdict == "passed"
    assert found["rights: hdinsight"].detail == (
        "this login may not Microsoft.Network/virtualNetworks/subnets/join/action"
    )
    assert f"--role 'Network Contributor' --scope {SUBNET}" in found["rights: hdinsight"].fix
    assert "listKeys" in found["rights: corpdata"].detail
    assert f"'Managed Identity Operator' --scope {IDENTITY}" in found["rights: hdi-storage"].fix


@pytest.mark.parametrize("middle", ["", "*/"])
def test_an_operator_of_identities_may_assign_one(
    account: Account, preflight: Preflight, middle: str
) -> None:
    given.identity(account)
    action = f"Microsoft.ManagedIdentity/userAssignedIdentities/{middle}assign/action"
    account.permissions_on = {IDENTITY: [{"actions": [action]}]}
    found = preflight.run(config(storageMode="wasbs-msi", identityId=IDENTITY))
    assert found["rights: hdi-storage"].verdict == "passed"


def test_what_is_given_needs_no_right_to_make_it(account: Account, preflight: Preflight) -> None:
    account.permissions = [
        {
            "actions": [
                "Microsoft.Resources/subscriptions/resourceGroups/write",
                "Microsoft.HDInsight/clusters/write",
            ]
        }
    ]
    found = preflight.run(config(subnetId=SUBNET, **MSI))
    assert found["rights"].verdict == "passed"


def test_the_role_is_assigned_on_the_account_alone(account: Account, preflight: Preflight) -> None:
    given.storage(account)
    given.identity(account, owner_of=None)
    account.permissions_on = {ACCOUNT: [READER, {"actions": ["Microsoft.Storage/*"]}]}
    found = preflight.run(config(**MSI, assignRole=True))
    assert (
        found["rights: corpdata"].detail == "this login may not Microsoft.Authorization/roleAssignments/write"
    )
