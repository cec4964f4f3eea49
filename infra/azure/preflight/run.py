"""Preflight of a stack on Azure: the list of checks, and authentication."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bootstrap.clouds import azure
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.azure import subscription
from infra.azure.arm import Arm
from infra.azure.cost import hourly, prices
from infra.azure.preflight import (
    account,
    few_workers,
    free,
    given_identity,
    given_rights,
    given_storage,
    keys,
    offer,
    operators,
    providers,
    quotas,
    subnet,
    tools,
    validation,
)
from infra.azure.preflight.cloud import Cloud
from infra.azure.settings import given, sizes
from infra.preflight import budget, tables
from infra.preflight.finding import CloudCheck, Finding, LocalCheck, failure
from infra.preflight.run import Authentication, run
from infra.preflight.tables import DatedTable

if TYPE_CHECKING:
    from rich.console import Console

    from infra.azure.settings.config import AzureConfig


def check(
    config: AzureConfig, stack: str, *, console: Console, env: Mapping[str, str] | None = None
) -> list[Finding]:
    """Check Azure and this machine, and print the findings. Changes nothing and costs nothing.

    A check that cannot run (no login, no permission, no network) is skipped; the others still run. `env` has
    the PATH on which tools are looked up; by default this process's own.
    """
    env = os.environ if env is None else env
    cloud_checks, local_checks = plan(config, stack, env)
    status = f"Asking Azure about {config.region}, and this machine …"
    return run(
        lambda: _authenticate(config, stack, env), cloud_checks, local_checks, console=console, status=status
    )


def plan(
    config: AzureConfig, stack: str, env: Mapping[str, str]
) -> tuple[Sequence[CloudCheck[Cloud]], Sequence[LocalCheck]]:
    """Return the checks of Azure and of this machine, in the order of the output. Pure."""
    cloud_checks = [*account.checks(config, stack), *providers.checks(config, stack)]
    if config.part == "cluster":
        cloud_checks += [*offer.checks(config, stack), *quotas.checks(config, stack)]
    cloud_checks += free.checks(config, stack)
    for module in (subnet, given_storage, given_identity, given_rights):
        cloud_checks += module.checks(config, stack)
    if config.part == "cluster":
        cloud_checks += validation.checks(config, stack)
    return cloud_checks, [
        *operators.checks(config, stack),
        *few_workers.checks(config, stack),
        *tools.checks(config, env),
        *keys.checks(config, stack),
        *budget.checks(config, stack, lambda: hourly.hourly(config, prices.load()), hourly.lower(config)),
        *tables.checks(lambda: _tables(config, stack)),
    ]


def _tables(config: AzureConfig, stack: str) -> list[DatedTable]:
    """Return the tables that this stack is reckoned by."""
    return [
        tables.prices_of(config.region, prices.load().of(config.region).date, stack),
        tables.offers("sizes and regions", sizes.table().checked, sizes.SHOWN),
    ]


def _authenticate(config: AzureConfig, stack: str, env: Mapping[str, str]) -> Authentication[Cloud]:
    """Authenticate, select the subscription, and look up the stack's resource group and cluster."""
    try:
        arm = Arm.of(azure.FAIL_FAST)
        found = subscription.select(arm, given.subscription_of(config), stack, env)
        first = [account.login(found)]
    except CaffeSparkError as error:
        return Authentication([failure(account.LOGIN, error)], None, _why(error))
    try:
        return Authentication(first, Cloud.of(arm, found, config, stack, azure.RETRY))
    except CaffeSparkError as error:
        return Authentication([*first, failure(free.GROUP, error)], None, error.why)


def _why(error: CaffeSparkError) -> str:
    """Return the reason why checks are skipped, in a few words."""
    if isinstance(error, subscription.NotUsable):
        return error.why
    if isinstance(error, azure.Offline):
        return "Azure cannot be reached"
    if isinstance(error, ConfigError) and not isinstance(error, azure.Denied):
        return "no valid login"
    return "Azure cannot be asked"
