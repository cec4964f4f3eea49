"""Selection of the stack's subscription: its own setting, or the login's default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bootstrap.clouds import azure
from bootstrap.errors import ConfigError
from infra.azure.arm import SUBSCRIPTIONS, Arm, Document
from infra.preflight.ask import ask

VARIABLE: Final = "ARM_SUBSCRIPTION_ID"
"""Also read by Pulumi's provider."""
ENABLED: Final = "Enabled"
USABLE: Final = (ENABLED, "PastDue")
DELETED: Final = "Deleted"
"""States of subscriptions: usable ones allow creating resources, all but deleted ones reading and deleting
them. https://learn.microsoft.com/azure/cost-management-billing/manage/subscription-states"""


class NotUsable(ConfigError):
    """The login is valid, but no subscription is usable."""


def select(arm: Arm, wanted: str | None, stack: str, env: Mapping[str, str]) -> Document:
    """Return the subscription, as described by Azure.

    `wanted` is the stack's setting; without it: the environment's, that of `az account show`, or the only
    one.

    Raises:
        NotUsable: the subscription does not exist, none is usable, or there are several and none is selected.
        ConfigError: nobody is logged in.
        ServiceDown: Azure does not answer.
    """
    chosen = _named(wanted, env)
    choose = f"`pulumi config set subscription ID --stack {stack}`"
    if chosen:
        doing = f"looking at subscription {chosen}"
        with azure.translate_errors(doing, stack):
            known = arm.find(f"/subscriptions/{chosen}", SUBSCRIPTIONS)
        if known is None:
            why = f"this login has no subscription {chosen}"
            raise NotUsable(
                f"Azure ({doing})", why, f"Run `az account list`, then {choose} with one of these."
            )
        return known
    there = list_all(arm, stack)
    usable = [one for one in there if is_usable(one)]
    if len(usable) == 1:
        return usable[0]
    given = "Azure (choosing a subscription)"
    if not usable:
        states = ", ".join(f"{one['displayName']} is {one['state']}" for one in there)
        why = f"this login has no usable subscription{f' ({states})' if states else ''}"
        raise NotUsable(given, why, "Run `az login` with an account that has one.")
    listed = ", ".join(f"{one['displayName']} ({one['subscriptionId']})" for one in usable)
    why = f"this login has {listed}; valid: one of them"
    raise NotUsable(given, why, f"Run {choose}, or `az account set --subscription ID`.")


def is_usable(known: Document) -> bool:
    """Return whether resources may be created in it; existing ones in a disabled subscription may still be
    billed."""
    return known.get("state", ENABLED) in USABLE


def id_of(wanted: str | None, stack: str, env: Mapping[str, str]) -> str:
    """Return the subscription's id for the stack's provider; Azure is asked only if no setting has it.

    Raises:
        ConfigError, ServiceDown: as for `select`.
    """
    return _named(wanted, env) or str(select(Arm.of(azure.FAIL_FAST), None, stack, env)["subscriptionId"])


def list_all(arm: Arm, stack: str) -> list[Document]:
    """Return the subscriptions of this login, usable or not, except deleted ones.

    Raises:
        ConfigError: nobody is logged in.
        ServiceDown: Azure does not answer.
    """
    with azure.translate_errors("listing subscriptions", stack):
        known = list(arm.list_all("/subscriptions", SUBSCRIPTIONS))
    return [one for one in known if one.get("state", ENABLED) != DELETED]


def _named(wanted: str | None, env: Mapping[str, str]) -> str:
    return wanted or env.get(VARIABLE) or _of_cli(env)


def _of_cli(env: Mapping[str, str]) -> str:
    """Return the id in `az account show`; empty without the CLI or its login."""
    try:
        return ask(["az", "account", "show", "--query", "id", "--output", "tsv"], "Run `az login`.", env)
    except ConfigError:
        return ""
