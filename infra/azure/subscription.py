"""Which subscription a stack is in: its own setting, or the one that its provider would take."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

from bootstrap import azure
from bootstrap.errors import ConfigError
from infra.azure.arm import SUBSCRIPTIONS, Arm, Document

VARIABLE: Final = "ARM_SUBSCRIPTION_ID"
"""Pulumi's provider reads it, too."""
ENABLED: Final = "Enabled"
TIMEOUT: Final = 30.0


def found(arm: Arm, wanted: str | None, stack: str, env: Mapping[str, str]) -> Document:
    """The subscription as Azure describes it.

    `wanted` is the stack's setting; without it: the environment's, `az account show`'s, or the only one.

    Raises:
        ConfigError: nobody is logged in; there is no such subscription, or several and none is chosen.
        ServiceDown: Azure does not answer.
    """
    chosen = wanted or env.get(VARIABLE) or _of_cli(env)
    if chosen:
        with azure.in_our_words(f"looking at subscription {chosen}", stack):
            return arm.get(f"/subscriptions/{chosen}", SUBSCRIPTIONS)
    there = every(arm, stack)
    if len(there) == 1:
        return there[0]
    listed = ", ".join(f"{one['displayName']} ({one['subscriptionId']})" for one in there) or "none"
    raise ConfigError(
        "Azure (choosing a subscription)",
        f"this login sees {listed}; valid: one of them, named",
        f"Run `pulumi config set subscription ID --stack {stack}`, or `az account set --subscription ID`.",
    )


def every(arm: Arm, stack: str) -> list[Document]:
    """Those that this login sees and that are in use.

    Raises:
        ConfigError: nobody is logged in.
        ServiceDown: Azure does not answer.
    """
    with azure.in_our_words("listing subscriptions", stack):
        known = list(arm.every("/subscriptions", SUBSCRIPTIONS))
    return [one for one in known if one.get("state", ENABLED) == ENABLED]


def _of_cli(env: Mapping[str, str]) -> str:
    """What `az account show` shows; nothing where there is no CLI, or nobody has logged in with it."""
    az = shutil.which("az", path=env.get("PATH"))
    if az is None:
        return ""
    command = [az, "account", "show", "--query", "id", "--output", "tsv"]
    try:
        said = subprocess.run(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
