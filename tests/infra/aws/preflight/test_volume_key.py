"""The key that encrypts volumes: Auto Scaling's role must be able to use it, or no worker starts."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from infra.aws import volume_key
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.volume_key import checks
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import CALLER, STACK, Account, answers, config

ROLE = volume_key.service_role(CALLER)


def asked(cloud: Cloud, **values: Any) -> Finding:
    return answers(checks(config(**values), STACK), cloud)["volume key"]


def has_key(account: Account, *, alias: str = "alias/volumes", policy: Any = None, **more: Any) -> str:
    """A customer managed key of the account; its ARN."""
    kms = account.client("kms")
    given = {"Policy": json.dumps(policy)} if policy else {}
    key = kms.create_key(**given, **more)["KeyMetadata"]
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    return str(key["Arn"])


def is_default(account: Account, key: str) -> None:
    account.answers["GetEbsDefaultKmsKeyId"] = lambda _: {"KmsKeyId": key}


def opens(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Resource": "*", **one} for one in statements]}


USE = {
    "Effect": "Allow",
    "Principal": {"AWS": ROLE},
    "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
}
GRANT = {
    "Effect": "Allow",
    "Principal": {"AWS": [ROLE]},
    "Action": "kms:CreateGrant",
    "Condition": {"Bool": {"kms:GrantIsForAWSResource": True}},
}
ROOT = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*"}


def test_awss_own_key_needs_nothing(cloud: Cloud, account: Account) -> None:
    found = asked(cloud)
    assert found.verdict == "passed"
    assert "alias/aws/ebs" in found.detail
    assert "DescribeKey" not in account.asked


def test_an_accounts_own_default_without_a_grant_fails_with_both_ways_out(
    cloud: Cloud, account: Account
) -> None:
    key = has_key(account)
    is_default(account, key)
    found = asked(cloud)
    assert found.failed
    assert found.detail == (
        f"the account's default key of EBS is customer managed ({key}), and neither a grant nor its policy "
        "lets Auto Scaling's role use it: no worker would start"
    )
    assert f"`pulumi config set kmsKey {key} --stack test`, and the stack makes the grant" in found.fix
    assert f"aws kms create-grant --key-id {key} --grantee-principal {ROLE} --operations Encrypt" in found.fix
    assert "docs/aws.md#the-volumes-key" in found.fix


def test_the_printed_command_is_all_that_was_missing(cloud: Cloud, account: Account) -> None:
    key = has_key(account)
    is_default(account, key)
    account.client("kms").create_grant(
        KeyId=key, GranteePrincipal=ROLE, Operations=list(volume_key.OPERATIONS)
    )
    found = asked(cloud)
    assert (found.verdict, found.detail) == ("passed", f"{key}; a grant lets Auto Scaling's role use it")


@pytest.mark.parametrize(
    "grant",
    [
        {
            "GranteePrincipal": "arn:aws:iam::123456789012:role/another",
            "Operations": list(volume_key.OPERATIONS),
        },
        {"GranteePrincipal": ROLE, "Operations": ["Decrypt", "DescribeKey"]},
        {
            "GranteePrincipal": ROLE,
            "Operations": list(volume_key.OPERATIONS),
            "Constraints": {"EncryptionContextSubset": {"a": "b"}},
        },
    ],
)
def test_a_grant_for_somebody_or_something_else_opens_nothing(
    grant: dict[str, Any], cloud: Cloud, account: Account
) -> None:
    key = has_key(account)
    is_default(account, key)
    account.client("kms").create_grant(KeyId=key, **grant)
    assert asked(cloud).failed


def test_a_keys_policy_may_open_it_too(cloud: Cloud, account: Account) -> None:
    is_default(account, has_key(account, policy=opens(ROOT, USE, GRANT)))
    assert asked(cloud).detail.endswith("; its policy lets Auto Scaling's role use it")


@pytest.mark.parametrize("statements", [[ROOT], [ROOT, USE], [ROOT, GRANT]])
def test_half_a_policy_opens_nothing(
    statements: list[dict[str, Any]], cloud: Cloud, account: Account
) -> None:
    is_default(account, has_key(account, policy=opens(*statements)))
    assert asked(cloud).failed


def test_for_the_stacks_own_key_the_stack_makes_the_grant(cloud: Cloud, account: Account) -> None:
    key = has_key(account)
    for name in (key, "alias/volumes"):
        found = asked(cloud, kmsKey=name)
        assert (found.verdict, found.detail) == (
            "passed",
            f"{key}; the stack makes the grant for Auto Scaling's role",
        )


def test_a_stack_that_makes_no_grant_needs_one_that_is_there(cloud: Cloud, account: Account) -> None:
    has_key(account)
    found = asked(cloud, kmsKey="alias/volumes", kmsGrant=False)
    assert found.failed
    assert "`pulumi config set kmsGrant true --stack test`" in found.fix


def test_a_key_that_is_not_there_is_named_with_the_command_that_lists_them(cloud: Cloud) -> None:
    found = asked(cloud, kmsKey="alias/nowhere")
    assert found.failed
    assert found.detail == "alias/nowhere is not in eu-west-1, and keys are regional"
    assert "`aws kms list-aliases --region eu-west-1`" in found.fix


def test_a_disabled_key_is_refused(cloud: Cloud, account: Account) -> None:
    key = has_key(account)
    account.client("kms").disable_key(KeyId=key.rpartition("/")[2])
    found = asked(cloud, kmsKey=key)
    assert found.failed
    assert found.detail.endswith("is in state Disabled")


def test_a_key_that_signs_is_refused(cloud: Cloud, account: Account) -> None:
    has_key(account, KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")
    found = asked(cloud, kmsKey="alias/volumes")
    assert found.failed
    assert found.detail.endswith("is of kind RSA_2048, and EBS takes symmetric keys only")


@pytest.mark.parametrize("operations", [("ListGrants",), ("GetKeyPolicy",), ("ListGrants", "GetKeyPolicy")])
def test_what_may_not_be_read_is_left_open_and_says_whom_to_ask(
    operations: tuple[str, ...], cloud: Cloud, account: Account
) -> None:
    is_default(account, has_key(account))
    for operation in operations:
        account.refuses(operation, "AccessDeniedException")
    found = asked(cloud)
    assert found.verdict == "skipped"
    assert ROLE in found.fix


def test_a_default_that_may_not_be_asked_for_is_left_open(cloud: Cloud, account: Account) -> None:
    account.denies("GetEbsDefaultKmsKeyId")
    assert asked(cloud).verdict == "skipped"


def test_a_key_that_may_not_be_looked_at_cannot_encrypt_the_heads_disk_either(
    cloud: Cloud, account: Account
) -> None:
    is_default(account, has_key(account))
    account.refuses("DescribeKey", "AccessDeniedException")
    found = asked(cloud)
    assert found.failed
    assert "DescribeKey" in found.detail


def test_without_knowing_who_asks_the_role_is_not_known(cloud: Cloud, account: Account) -> None:
    is_default(account, has_key(account))
    assert asked(dataclasses.replace(cloud, caller="")).verdict == "skipped"


@pytest.mark.parametrize(
    ("statement", "opened"),
    [
        ({"Effect": "Allow", "Principal": "*", "Action": "kms:*"}, True),
        ({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["KMS:*"]}, True),
        ({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Condition": {"Bool": {}}}, False),
        ({"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "kms:*"}, False),
        ({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "kms:*"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:?ecrypt"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": ROLE}, "NotAction": "kms:Delete*"}, False),
    ],
)
def test_a_policy_is_read_as_kms_does_or_not_believed(statement: dict[str, Any], opened: bool) -> None:
    assert volume_key.allows({"Statement": [statement]}, ROLE) is opened
    assert not volume_key.allows({}, ROLE)
