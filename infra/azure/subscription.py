"""Which subscription a stack is in: its own setting, or the one that its provider would take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bootstrap.clouds import azure
from bootstrap.errors import ConfigError
from infra.azure.arm import SUBSCRIPTIONS, Arm, Document
from infra.preflight.ask import ask

VARIABLE: Final = "ARM_SUBSCRIPTION_ID"
"""Pulumi's provider reads it, too."""
ENABLED: Final = "Enabled"
USABLE: Final = (ENABLED, "PastDue")
DELETED: Final = "Deleted"
"""States: in the usable ones things can be made, in all but deleted ones looked at and removed.
https://learn.microsoft.com/azure/cost-management-billing/manage/subscription-states"""


class NotUsable(ConfigError):
    """The login counts, and sees no subscription in which it could make something."""


def found(arm: Arm, wanted: str | None, stack: str, env: Mapping[str, str]) -> Document:
    """The subscription as Azure describes it.

    `wanted` is the stack's setting; without it: the environment's, `az account show`'s, or the only one.

    Raises:
        NotUsable: there is no such subscription; none is in use; or there are several, and none is chosen.
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
            why = f"this login sees no subscription {chosen}"
            raise NotUsable(
                f"Azure ({doing})", why, f"Run `az account list`, then {choose} with one of these."
            )
        return known
    there = every(arm, stack)
    usable = [one for one in there if in_use(one)]
    if len(usable) == 1:
        return usable[0]
    given = "Azure (choosing a subscription)"
    if not usable:
        states = ", ".join(f"{one['displayName']} is {one['state']}" for one in there)
        why = f"this login sees no subscription that is in use{f' ({states})' if states else ''}"
        raise NotUsable(given, why, "Run `az login` as somebody who has one.")
    listed = ", ".join(f"{one['displayName']} ({one['subscriptionId']})" for one in usable)
    why = f"this login sees {listed}; valid: one of them, named"
    raise NotUsable(given, why, f"Run {choose}, or `az account set --subscription ID`.")


def in_use(known: Document) -> bool:
    """Whether something may be made in it. In others there may still be something, and it may bill."""
    return known.get("state", ENABLED) in USABLE


def id_of(wanted: str | None, stack: str, env: Mapping[str, str]) -> str:
    """Its id, for the stack's provider, which finds none; Azure is asked only where nobody names one.

    Raises:
        ConfigError, ServiceDown: as `found` does.
    """
    return _named(wanted, env) or str(found(Arm.of(azure.FAIL_FAST), None, stack, env)["subscriptionId"])


def every(arm: Arm, stack: str) -> list[Document]:
    """Those that this login sees, in use or not; of one that was deleted nothing can be seen.

    Raises:
        ConfigError: nobody is logged in.
        ServiceDown: Azure does not answer.
    """
    with azure.translate_errors("listing subscriptions", stack):
        known = list(arm.every("/subscriptions", SUBSCRIPTIONS))
    return [one for one in known if one.get("state", ENABLED) != DELETED]


def _named(wanted: str | None, env: Mapping[str, str]) -> str:
    return wanted or env.get(VARIABLE) or _of_cli(env)


def _of_cli(env: Mapping[str, str]) -> str:
    """What `az account show` shows; nothing where there is no CLI, or nobody has logged in with it."""
    try:
        return ask(["az", "account", "show", "--query", "id", "--output", "tsv"], "Run `az login`.", env)
    except ConfigError:
        return ""
