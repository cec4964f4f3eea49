"""All checks of a stack on Azure: what is asked, and of whom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bootstrap.clouds import azure
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.azure import subscription
from infra.azure.arm import Arm
from infra.azure.preflight import account, free, keys, offer, operators, providers, quotas, tools, validation
from infra.azure.preflight.cloud import Cloud
from infra.preflight.finding import CloudCheck, Finding, LocalCheck, failure
from infra.preflight.run import Introduced, run

if TYPE_CHECKING:
    from rich.console import Console

    from infra.azure.settings.config import AzureConfig


def check(
    config: AzureConfig, stack: str, *, console: Console, env: Mapping[str, str] | None = None
) -> list[Finding]:
    """Ask Azure and this machine, and print each answer. Changes nothing and costs nothing.

    What cannot be asked (no login, no right, no network) is said, and the rest is asked all the same.
    `env` has the PATH on which tools are looked for; else this process's own.
    """
    env = os.environ if env is None else env
    there, local = plan(config, stack, env)
    doing = f"Asking Azure about {config.region}, and this machine …"
    return run(lambda: _who(config, stack, env), there, local, console=console, doing=doing)


def plan(
    config: AzureConfig, stack: str, env: Mapping[str, str]
) -> tuple[Sequence[CloudCheck[Cloud]], Sequence[LocalCheck]]:
    """What is asked of Azure and of this machine, in the order in which it is told. Pure."""
    there = [*account.checks(config, stack), *providers.checks(config, stack)]
    if config.part == "cluster":
        there += [*offer.checks(config, stack), *quotas.checks(config, stack)]
    there += free.checks(config, stack)
    if config.part == "cluster":
        there += validation.checks(config, stack)
    return there, [*operators.checks(config, stack), *tools.checks(config, env), *keys.checks(config, stack)]


def _who(config: AzureConfig, stack: str, env: Mapping[str, str]) -> Introduced[Cloud]:
    """Who asks, for which subscription, and what of the stack is there."""
    try:
        arm = Arm.of(azure.FAIL_FAST)
        found = subscription.found(arm, config.subscription, stack, env)
        first = [account.login(found)]
    except CaffeSparkError as error:
        return Introduced([failure(account.LOGIN, error)], None, _why(error))
    try:
        return Introduced(first, Cloud.of(arm, found, config, stack, azure.RETRY))
    except CaffeSparkError as error:
        return Introduced([*first, failure(free.GROUP, error)], None, error.why)


def _why(error: CaffeSparkError) -> str:
    """Why Azure is asked nothing more, in few words: it stands beside each check that is left out."""
    if isinstance(error, subscription.NotUsable):
        return error.why
    if isinstance(error, azure.Offline):
        return "Azure cannot be reached"
    if isinstance(error, ConfigError) and not isinstance(error, azure.Denied):
        return "there is no valid login"
    return "Azure cannot be asked"
