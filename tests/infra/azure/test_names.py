"""Names that Azure takes, whatever the stack is called; passwords that HDInsight takes."""

from __future__ import annotations

import re

import pytest

from infra.azure import names
from infra.azure.secrets import GatewayPasswordProvider, generate
from infra.azure.settings import name_rules

GROUP = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/caffe-spark-az"
STACKS = ["az", "azure-west-europe", "A_stack.of-mine", "x" * 100, "a" * 31 + "-" * 9 + "b"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_clusters_name_is_valid_and_says_whose_it_is(stack: str) -> None:
    name = names.cluster(stack, GROUP)
    assert name_rules.cluster_name(name) == name
    assert name.startswith("caffe-spark-")
    assert "--" not in name


@pytest.mark.parametrize("stack", STACKS)
def test_a_resource_groups_name_is_valid(stack: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]{3,89}[a-z0-9]", names.resource_group(stack))


def test_accounts_names_have_24_letters_and_digits_at_most() -> None:
    both = names.account(GROUP), names.scripts_account(GROUP)
    assert len(set(both)) == 2
    assert all(re.fullmatch(r"[a-z0-9]{3,24}", name) for name in both)


def test_the_same_group_has_the_same_names_in_whatever_case_azure_answers() -> None:
    other = GROUP.replace("0000-1111", "0000-1112")
    assert names.account(GROUP) == names.account(GROUP.upper())
    assert names.account(GROUP) != names.account(other)
    assert names.cluster("az", GROUP) != names.cluster("az", other)


def test_a_group_knows_its_subscription() -> None:
    assert names.subscription(GROUP) == "00000000-1111-2222-3333-444444444444"


def test_passwords_are_good_and_never_alike() -> None:
    made = {generate(("admin", "sshuser")) for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert name_rules.gateway_password(password) == password
        assert not name_rules.user_faults(password, ("admin", "sshuser"))
        assert password[0].isalpha(), "no option of a command line"
        assert re.fullmatch(r"[A-Za-z0-9!%*=_+-]{24}", password)


def test_a_password_of_the_state_never_changes() -> None:
    provider = GatewayPasswordProvider()
    outs = provider.create({"purpose": "x", "value": None}).outs
    assert outs is not None
    assert not name_rules.password_faults(outs["value"])
    assert not provider.diff("x", outs, {"purpose": "y"}).changes


def test_a_password_of_the_state_changes_only_where_another_users_name_forbids_it() -> None:
    provider = GatewayPasswordProvider()
    outs = {"purpose": "x", "users": ["admin", "sshuser"], "value": "Tr0ub4dor+and-3ops"}
    assert not provider.diff("x", outs, {"purpose": "x", "users": ["admin", "keeper"]}).changes
    assert provider.diff("x", outs, {"purpose": "x", "users": ["admin", "myops"]}).replaces == ["users"]
    # One of an earlier version, which HDInsight has accepted, stays.
    del outs["users"]
    assert not provider.diff("x", outs, {"purpose": "x", "users": ["admin", "myops"]}).changes


@pytest.mark.parametrize("user", ["sshuser", "ops", "a1", "me-too"])
def test_ordinary_accounts_are_taken(user: str) -> None:
    assert name_rules.ssh_user(user) == user
