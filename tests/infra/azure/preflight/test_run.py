"""Everything at once: what a user sees with a good subscription, a poor one, and with none at all."""

from __future__ import annotations

import time

import pytest

from bootstrap.clouds import azure
from tests.cloud.arm import SUBSCRIPTION, closed_port
from tests.cloud.azure_account import CONTRIBUTOR, READER, Account
from tests.infra.azure.preflight.conftest import Preflight, config

LINES = [
    "login",
    "rights",
    "provider HDInsight",
    "provider Network",
    "provider Storage",
    "region",
    "sizes",
    "quota: cores",
    "resource group",
    "cluster name",
    "storage account",
    "request",
    "adminCidrs",
    "Pulumi",
    "Pulumi's azure-native plugin",
    "Azure CLI",
    "ssh",
    "key pair",
    "tables",
]


def test_a_subscription_that_has_everything_passes(account: Account, preflight: Preflight) -> None:
    preflight.has_all()
    preflight.run(config())
    assert [finding.name for finding in preflight.findings] == LINES
    assert {finding.verdict for finding in preflight.findings} == {"passed"}, preflight.printed
    assert preflight.printed.splitlines()[-1] == f"{len(LINES)} passed."


def test_nothing_is_asked_that_would_change_anything(account: Account, preflight: Preflight) -> None:
    preflight.run(config())
    posted = {path.rpartition("/")[2] for method, path in account.asked if method != "GET"}
    assert posted == {"checkNameAvailability", "validateCreateRequest"}


def test_every_failure_has_a_line_that_says_what_to_type(account: Account, preflight: Preflight) -> None:
    account.permissions = [READER]
    account.providers["Microsoft.HDInsight"] = "NotRegistered"
    account.sizes, account.usages = ["Standard_A2_v2"], {"cores": (0, 10)}
    account.regions, account.errors = ["EAST US"], [{"code": "Bad", "message": "No."}]
    preflight.run(config(publicKeyFile="/nowhere/id.pub", privateKeyFile="/nowhere/id"))
    failed = [finding for finding in preflight.findings if finding.failed]
    assert len(failed) > 8
    assert all(finding.fix and "\n" not in finding.fix + finding.detail for finding in failed)
    assert preflight.printed.count("  → ") == sum(bool(finding.fix) for finding in preflight.findings)


def test_without_a_login_this_machine_and_the_table_still_speak(no_login: None, preflight: Preflight) -> None:
    preflight.has_all()
    begun = time.monotonic()
    found = preflight.run(config())
    assert time.monotonic() - begun < 10
    assert preflight.failed == ["login"]
    assert found["login"].detail.startswith("nobody is logged in")
    assert found["login"].fix.startswith("Install the Azure CLI (https://")
    assert "by the table of" in found["sizes"].detail
    assert found["cluster name"].verdict == "skipped"
    assert found["cluster name"].detail == "no valid login"
    assert found["key pair"].verdict == "passed"


def test_without_a_way_to_azure_nothing_more_is_tried(
    account: Account, preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(azure.ENDPOINT, f"http://127.0.0.1:{closed_port()}")
    found = preflight.run(config())
    assert "cannot be reached" in found["login"].detail
    assert found["request"].detail == "Azure cannot be reached"


def test_a_login_of_another_tenant_says_so_once(account: Account, preflight: Preflight) -> None:
    account.refuse("/subscriptions", 401, "InvalidAuthenticationTokenTenant", "The access token is wrong")
    found = preflight.run(config(subscription=SUBSCRIPTION))
    assert found["login"].detail == "the login belongs to another tenant than the subscription"
    assert "az login --tenant" in found["login"].fix
    assert preflight.printed.count("another tenant") == 1


def test_a_subscription_that_the_login_does_not_see(account: Account, preflight: Preflight) -> None:
    other = "99999999-0000-0000-0000-000000000000"
    found = preflight.run(config(subscription=other))
    assert found["login"].detail == f"this login has no subscription {other}"
    assert found["rights"].detail == found["login"].detail
    assert "az account list" in found["login"].fix


def test_one_that_is_disabled(account: Account, preflight: Preflight) -> None:
    account.subscriptions[0]["state"] = "Disabled"
    found = preflight.run(config(subscription=SUBSCRIPTION))
    assert "is Disabled: nothing can be created in it" in found["login"].detail
    assert found["rights"].verdict == "skipped"
    assert "is Disabled" in found["rights"].detail, "whoever is logged in is not told otherwise"


@pytest.mark.parametrize("state", ["Disabled", "Warned"])
def test_where_none_is_in_use_none_is_chosen(state: str, account: Account, preflight: Preflight) -> None:
    account.subscriptions[0]["state"] = state
    found = preflight.run(config())
    assert f"has no usable subscription (Research is {state})" in found["login"].detail


def test_several_and_none_chosen_are_listed(account: Account, preflight: Preflight) -> None:
    second = {"subscriptionId": "2", "displayName": "Teaching", "state": "Enabled", "tenantId": "t"}
    account.subscriptions.append(second)
    found = preflight.run(config())
    assert f"this login has Research ({SUBSCRIPTION}), Teaching (2)" in found["login"].detail
    assert "pulumi config set subscription ID --stack demo" in found["login"].fix
    assert found["rights"].detail == found["login"].detail, "whoever is logged in is not told otherwise"


def test_the_only_one_in_use_is_chosen_paid_for_or_not(account: Account, preflight: Preflight) -> None:
    account.subscriptions[0]["state"] = "PastDue"
    account.subscriptions.append({"subscriptionId": "2", "displayName": "Old", "state": "Disabled"})
    assert preflight.run(config())["login"].detail.startswith("subscription Research")


def test_the_environment_or_the_cli_chooses_as_for_pulumis_provider(
    account: Account, preflight: Preflight
) -> None:
    second = {"subscriptionId": "2", "displayName": "Teaching", "state": "Enabled", "tenantId": "t"}
    account.subscriptions.append(second)
    assert "Teaching" in preflight.run(config(), ARM_SUBSCRIPTION_ID="2")["login"].detail
    preflight.has("az", SUBSCRIPTION)
    assert "Research" in preflight.run(config())["login"].detail
    preflight.has("az", "Please run 'az login' to setup account.", status=1)
    assert "this login has" in preflight.run(config())["login"].detail


def test_a_right_that_only_a_preflight_wants_leaves_its_check_open(
    account: Account, preflight: Preflight
) -> None:
    text = (
        "The client 'me' with object id 'abc' does not have authorization to perform action "
        "'Microsoft.HDInsight/locations/usages/read' over scope '/subscriptions/x' or the scope is invalid."
    )
    account.refuse("/usages", 403, "AuthorizationFailed", text)
    found = preflight.run(config())
    assert found["quota: cores"].verdict == "skipped"
    assert (
        "this login lacks the permission Microsoft.HDInsight/locations/usages/read"
        in found["quota: cores"].detail
    )
    assert "--assignee abc --role Reader" in found["quota: cores"].fix


def test_a_login_that_may_not_look_at_groups_is_told_so(account: Account, preflight: Preflight) -> None:
    account.refuse("/resourcegroups/", 403, "AuthorizationFailed", "You may not.")
    found = preflight.run(config())
    assert found["login"].verdict == "passed"
    assert preflight.failed[0] == "resource group"
    assert found["rights"].verdict == "skipped"


def test_throttling_of_one_call_leaves_the_others_their_answers(
    account: Account, preflight: Preflight
) -> None:
    preflight.has_all()
    account.refuse("/billingSpecs", 429, "TooManyRequests", "Too many requests.")
    found = preflight.run(config())
    assert preflight.failed == ["sizes"]
    assert "Azure throttles these calls" in found["sizes"].detail


def test_a_failure_of_azures_own_is_one_line(account: Account, preflight: Preflight) -> None:
    account.refuse("/capabilities", 500, "Oops", "Something.")
    found = preflight.run(config())["region"]
    assert found.detail == "it fails on Azure's side: Something. (Oops)"
    assert found.fix == "Rerun the command in a minute."


@pytest.mark.parametrize("status", [200, 403, 404, 500])
@pytest.mark.parametrize(
    "part", ["/capabilities", "/resourcegroups/", "/checkNameAvailability", "/subscriptions"]
)
def test_a_proxy_that_answers_in_html_is_told(
    account: Account, preflight: Preflight, part: str, status: int
) -> None:
    account.pages[part] = (status, "<html>\n<title>Access\ndenied</title></html>")
    preflight.run(config(subscription=SUBSCRIPTION))
    (first, *_) = [one for one in preflight.findings if one.failed]
    assert "the response is not Azure's" in first.detail
    assert "proxy" in first.detail
    assert "<" not in preflight.printed
    assert "is free" not in first.detail


def test_without_the_cli_it_is_named_with_how_to_install_it(account: Account, preflight: Preflight) -> None:
    preflight.has_all()
    (preflight.folder / "az").unlink()
    found = preflight.run(config())["Azure CLI"]
    assert (found.verdict, found.detail.startswith("not on PATH; `az login` needs it")) == ("note", True)
    assert "https://learn.microsoft.com/cli/azure/install-azure-cli" in found.fix


def test_variables_without_a_way_to_the_login_server_are_unreachable_not_nobody(
    no_login: None, preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLIENT_ID", "TENANT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"AZURE_{name}", "11111111-0000-0000-0000-000000000000")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    monkeypatch.setattr("azure.core.pipeline.policies.RetryPolicy.sleep", lambda *_, **__: None)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    found = preflight.run(config())
    assert found["login"].detail.startswith("the login server cannot be reached: ")
    assert found["rights"].detail == "Azure cannot be reached"


@pytest.mark.parametrize(("workers", "noted"), [(1, True), (2, True), (3, False)])
def test_fewer_workers_than_copies_are_noted(
    account: Account, preflight: Preflight, workers: int, noted: bool
) -> None:
    found = preflight.run(config(workers=workers))
    assert ("workers" in found) == noted
    if noted:
        assert found["workers"].verdict == "note"
        assert "may stay in safe mode" in found["workers"].detail
        assert found["workers"].fix == "Run `pulumi config set workers 3 --stack demo`."


def test_a_storage_alone_asks_less(account: Account, preflight: Preflight) -> None:
    preflight.has_all()
    preflight.run(config(part="storage"))
    assert [finding.name for finding in preflight.findings] == [
        "login",
        "rights",
        "provider Storage",
        "resource group",
        "storage account",
        "Pulumi",
        "Pulumi's azure-native plugin",
        "Azure CLI",
        "tables",
    ]
    assert preflight.failed == []


# ---- operators


def test_an_examples_address_fails_with_the_command_that_sets_ones_own(
    account: Account, preflight: Preflight
) -> None:
    found = preflight.run(config(adminCidrs=["198.18.0.7/32", "203.0.113.7/32"]))["adminCidrs"]
    assert found.failed
    assert "reserved for documentation" in found.detail
    assert "config set --path 'adminCidrs[1]' $(curl" in found.fix
    assert found.fix.endswith("--stack demo`.")


def test_where_nobody_comes_from_outside_no_address_is_judged(account: Account, preflight: Preflight) -> None:
    found = preflight.run(config(adminCidrs=[], privateLink=True, resourceProviderConnection="outbound"))
    assert "adminCidrs" not in found


# ---- rights


def test_a_contributor_may_make_a_cluster_that_reaches_its_storage_by_key(
    account: Account, preflight: Preflight
) -> None:
    account.permissions = [CONTRIBUTOR]
    assert preflight.run(config())["rights"].verdict == "passed"


def test_a_contributor_may_not_give_an_identity_its_role(account: Account, preflight: Preflight) -> None:
    account.permissions = [CONTRIBUTOR]
    rights = preflight.run(config(storageMode="wasbs-msi"))["rights"]
    assert rights.detail == "this login may not Microsoft.Authorization/roleAssignments/write"
    assert "'Role Based Access Control Administrator'" in rights.fix
    assert "Contributor" not in rights.fix


def test_a_second_role_grants_what_the_first_excepts(account: Account, preflight: Preflight) -> None:
    account.permissions = [CONTRIBUTOR, {"actions": ["Microsoft.Authorization/roleAssignments/*"]}]
    assert preflight.run(config(storageMode="wasbs-msi"))["rights"].verdict == "passed"


def test_a_reader_lacks_everything(account: Account, preflight: Preflight) -> None:
    account.permissions = [READER]
    rights = preflight.run(config())["rights"]
    assert "Microsoft.HDInsight/clusters/write" in rights.detail
    assert "subnets/join/action" in rights.detail
    assert f"--role Contributor --scope /subscriptions/{SUBSCRIPTION}" in rights.fix


# ---- resource providers


@pytest.mark.parametrize(
    ("state", "said"), [("NotRegistered", "not registered"), ("Registering", "not registered yet")]
)
def test_a_provider_that_is_not_registered_is_registered_with_one_command(
    state: str, said: str, account: Account, preflight: Preflight
) -> None:
    account.providers["Microsoft.HDInsight"] = state
    found = preflight.run(config())["provider HDInsight"]
    assert found.failed
    assert found.detail == f"the subscription is {said} for it"
    assert f"az provider register --namespace Microsoft.HDInsight --subscription {SUBSCRIPTION}" in found.fix


def test_identities_and_logs_have_providers_of_their_own(account: Account, preflight: Preflight) -> None:
    found = preflight.run(config(storageMode="abfss-msi", logAnalytics=True))
    assert {"provider ManagedIdentity", "provider OperationalInsights"} <= set(found)
