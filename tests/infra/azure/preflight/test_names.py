"""Availability of the stack's names, and HDInsight's validation of the request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.azure.preflight.body import body
from infra.azure.preflight.cloud import names_of
from tests.cloud.arm import SUBSCRIPTION
from tests.cloud.azure_account import TENANT, Account
from tests.infra.azure.conftest import AzureMocks, AzureProgram, storage_file
from tests.infra.azure.preflight.conftest import STACK, Preflight, config

GROUP = "caffe-spark-demo"
OTHER = "99999999-0000-0000-0000-000000000000"
NAMES = names_of(config(), STACK, SUBSCRIPTION)


def test_names_are_those_that_the_program_gives() -> None:
    recorded = AzureProgram([]).run(AzureMocks())
    made = recorded.the("azure-native:hdinsight:Cluster").inputs["clusterName"]
    group = recorded.the("azure-native:resources:ResourceGroup").id
    names = names_of(config(), "test", group.split("/")[2])
    account = recorded.the("azure-native:storage:StorageAccount").inputs["accountName"]
    assert (names["cluster"], names["group_id"], names["account"]) == (made, group, account)


def test_a_cluster_name_that_is_taken_is_told_in_azures_words(account: Account, preflight: Preflight) -> None:
    account.taken["mine"] = "The name 'mine' is already in use."
    found = preflight.run(config(clusterName="mine"))["cluster name"]
    assert found.failed
    assert found.detail.startswith(
        "mine: The name 'mine' is already in use; cluster names are globally unique"
    )
    assert "pulumi config set clusterName NAME --stack demo" in found.fix


def test_the_stacks_own_cluster_does_not_take_its_name(account: Account, preflight: Preflight) -> None:
    account.taken[NAMES["cluster"]] = "taken"
    account.cluster(account.group(GROUP), NAMES["cluster"])
    found = preflight.run(config())
    assert found["cluster name"].detail == f"{NAMES['cluster']} is this stack's"
    assert found["request"].detail == "the cluster exists: HDInsight has accepted it"
    assert account.validated == []


def test_a_storage_account_of_somebody_elses(account: Account, preflight: Preflight) -> None:
    account.taken[NAMES["account"]] = "The storage account named x is already taken."
    found = preflight.run(config())["storage account"]
    assert "is already taken" in found.detail
    assert "pulumi stack init NAME" in found.fix


def test_a_storage_account_of_the_stacks_own(account: Account, preflight: Preflight) -> None:
    account.taken[NAMES["account"]] = "taken"
    account.add(account.group(GROUP), "Microsoft.Storage/storageAccounts", NAMES["account"])
    assert preflight.run(config())["storage account"].detail == f"{NAMES['account']} is this stack's"


def test_both_accounts_are_asked_about_where_scripts_have_their_own(
    account: Account, preflight: Preflight
) -> None:
    account.taken[NAMES["scripts_account"]] = "taken"
    preflight.run(config(storageMode="abfss-msi"))
    accounts = [one for one in preflight.findings if one.name == "storage account"]
    assert [one.verdict for one in accounts] == ["passed", "failed"]


def test_a_storage_stacks_account_is_not_asked_about(account: Account, preflight: Preflight) -> None:
    found = preflight.run(config(storageStack="keep"))["storage account"]
    assert (found.verdict, found.fix) == ("note", "")
    assert found.detail.startswith("keep's (storageStack), whose file is not here")


@pytest.mark.parametrize(
    ("lines", "verdict", "said"),
    [
        (["part: storage"], "passed", "keep's (storageStack), which fits as Pulumi.keep.yaml has it"),
        ([], "failed", "by Pulumi.keep.yaml, that stack is not a storage stack"),
        (["part: storage", "storageMode: abfss-msi"], "failed", "made for abfss-msi"),
        (["part: storage", f"subscription: {OTHER}"], "failed", f"is in subscription {OTHER}"),
    ],
)
def test_a_storage_stacks_file_is_compared_where_it_is_here(
    account: Account,
    preflight: Preflight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    verdict: str,
    said: str,
) -> None:
    storage_file(tmp_path, "keep", *lines)
    monkeypatch.chdir(tmp_path)
    found = preflight.run(config(storageStack="keep"))["storage account"]
    assert (found.verdict, bool(found.fix)) == (verdict, verdict == "failed")
    assert said in found.detail


def test_a_resource_group_of_somebody_elses(account: Account, preflight: Preflight) -> None:
    account.group(GROUP, tags={"Owner": "them"})
    found = preflight.run(config())["resource group"]
    assert "that is not this stack's (Owner=them)" in found.detail


# ---- the request


def test_the_request_is_the_programs_own(account: Account, preflight: Preflight) -> None:
    preflight.run(config(autoscale={"min": 3, "max": 6}))
    (sent,) = account.validated
    recorded = AzureProgram([]).run(AzureMocks(), autoscale='{"min": 3, "max": 6}')
    program = recorded.the("azure-native:hdinsight:Cluster").inputs["properties"]
    for role in program["computeProfile"]["roles"]:
        if "autoscaleConfiguration" in role:
            role["autoscale"] = role.pop("autoscaleConfiguration")
    assert shape(sent["properties"]) == shape(program)
    assert (sent["type"], sent["location"], sent["tenantId"]) == (
        "Microsoft.HDInsight/clusters",
        "westeurope",
        TENANT,
    )
    assert sent["name"] == NAMES["cluster"]


MADE = ("certificateData", "key", "restAuthCredential.password", "id", "subnet", "uri")


def shape(value: Any) -> Any:
    """The same, without what only `up` learns."""
    if isinstance(value, dict):
        return {key: "…" if key in MADE else shape(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [shape(one) for one in value]
    if isinstance(value, str) and value.endswith(".blob.core.windows.net"):
        return "an account"
    return int(value) if isinstance(value, float) else value


@pytest.mark.parametrize("mode", ["wasbs-key", "wasbs-msi", "abfss-msi"])
def test_each_storage_mode_has_a_request(mode: str) -> None:
    made = body(config(storageMode=mode), STACK, NAMES, TENANT)
    accounts = made["properties"]["storageProfile"]["storageaccounts"]
    assert ("identity" in made) == (mode != "wasbs-key")
    assert [one.get("key") is None for one in accounts] == {
        "wasbs-key": [False],
        "wasbs-msi": [True],
        "abfss-msi": [True, False],
    }[mode]


def test_a_request_that_is_refused_is_told_in_azures_words(account: Account, preflight: Preflight) -> None:
    account.errors = [
        {"code": "InvalidVmSize", "message": "The size Standard_E8_V3 is\nnot allowed here."},
        {"code": "InvalidPassword", "message": "The password is weak."},
    ]
    preflight.run(config())
    refused = [one for one in preflight.findings if one.name == "request"]
    assert [one.detail for one in refused] == [
        "The size Standard_E8_V3 is not allowed here (InvalidVmSize)",
        "The password is weak (InvalidPassword)",
    ]
    assert all(one.failed and one.fix for one in refused)


def test_what_is_said_of_things_that_up_makes_before_stops_nothing(
    account: Account, preflight: Preflight
) -> None:
    account.errors = [
        {"code": "StorageNotFound", "message": f"Account {NAMES['account']} does not exist."},
        {"code": "SubnetNotFound", "message": "No such subnet.", "errorResource": "caffe-spark-vnet"},
    ]
    account.warnings = [{"code": "Old", "message": "This size will retire."}]
    preflight.run(config())
    said = [one for one in preflight.findings if one.name == "request"]
    assert [one.verdict for one in said] == ["passed", "note", "note", "note"]
    assert said[0].detail == "HDInsight would create this cluster, in about 20 minutes"
    assert "about resources that `pulumi up` creates before the cluster" in said[1].detail
    assert said[3].detail == "This size will retire (Old)"


def test_a_public_key_that_is_none_is_told_before_anything_is_sent(
    account: Account, preflight: Preflight, tmp_path: Any
) -> None:
    key = tmp_path / "id.pub"
    key.write_text("ssh-ed25519 AAAA me")
    found = preflight.run(config(publicKeyFile=str(key), privateKeyFile=str(tmp_path / "id")))
    assert "HDInsight accepts RSA keys only" in found["request"].detail
    assert "HDInsight accepts RSA keys only" in found["key pair"].detail
    assert found["private key"].failed
    assert account.validated == []
