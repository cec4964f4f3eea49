"""Preflight of a stack on AWS: the list of checks, and authentication."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.aws.cost import hourly, now, prices
from infra.aws.preflight import (
    account,
    capacity,
    fabric,
    firewall,
    group,
    images,
    keys,
    logs,
    names,
    network,
    quotas,
    reservation,
    rights,
    roles,
    tools,
    training,
    volume_key,
)
from infra.aws.preflight.cloud import Cloud, Home
from infra.aws.settings import regions
from infra.preflight import budget, tables
from infra.preflight.finding import CloudCheck, Finding, LocalCheck, failure
from infra.preflight.run import Authentication, run
from infra.preflight.tables import DatedTable

if TYPE_CHECKING:
    from rich.console import Console

    from infra.aws.settings.config import AwsConfig
    from infra.cost.bill import Bill


ROOT: Final = Path(__file__).parents[3]


def check(
    config: AwsConfig,
    stack: str,
    *,
    console: Console,
    env: Mapping[str, str] | None = None,
    root: Path = ROOT,
) -> list[Finding]:
    """Check AWS and this machine, and print the findings. Changes nothing and costs nothing.

    A check that cannot run (no credentials, no permission, no network) is skipped; the others still run.
    `env` has the PATH on which tools are looked up; by default this process's own. `root` is the project's
    folder.
    """
    cloud_checks, local_checks = plan(config, stack, os.environ if env is None else env, root)
    status = f"Asking AWS about {config.region}, and this machine …"
    return run(
        lambda: _authenticate(config.region), cloud_checks, local_checks, console=console, status=status
    )


def plan(
    config: AwsConfig, stack: str, env: Mapping[str, str], root: Path = ROOT
) -> tuple[Sequence[CloudCheck[Cloud]], Sequence[LocalCheck]]:
    """Return the checks of AWS and of this machine, in the order of the output. Pure."""
    cloud_checks = [
        *network.checks(config, stack),
        *names.checks(config, stack),
        *firewall.checks(config, stack),
        *roles.checks(config, stack),
        *capacity.checks(config, stack),
        *quotas.checks(config, stack),
        *images.checks(config, stack),
        *reservation.checks(config, stack),
        *fabric.checks(config, stack),
        *group.checks(config, stack),
        *volume_key.checks(config, stack),
        *logs.checks(config, stack),
        *rights.checks(config, stack),
        *keys.cloud_checks(config, stack),
    ]
    return cloud_checks, [
        *keys.local_checks(config, stack),
        *tools.checks(config, stack, env),
        *training.checks(config, stack, root, env),
        *budget.checks(config, stack, lambda: _worst(config), hourly.lower(config)),
        *tables.checks(lambda: _tables(config, stack)),
    ]


def _tables(config: AwsConfig, stack: str) -> list[DatedTable]:
    """Return the tables that this stack is reckoned by."""
    return [
        tables.prices_of(config.region, prices.load().of(config.region).date, stack),
        tables.offers("instance types and zones", regions.table().date, regions.SHOWN),
    ]


def _worst(config: AwsConfig) -> Bill:
    """Return the estimate that `pulumi up` would make now."""
    return hourly.worst(config, now.current(config, prices.load()))


def _authenticate(region: str) -> Authentication[Cloud]:
    """Authenticate, and check that the region is enabled."""
    caller = ""
    try:
        session = aws.session()
        home = Home.of(session)
        caller, identity = account.caller(home)
        first = [identity]
    except (ConfigError, aws.Offline) as error:
        why = "AWS cannot be reached" if isinstance(error, aws.Offline) else "no valid credentials"
        said = [failure(account.IDENTITY, error), Finding(account.REGION, "skipped", why)]
        return Authentication(said, None, why)
    except CaffeSparkError as error:
        first = [failure(account.IDENTITY, error)]
    try:
        first.append(account.region(home, region))
    except account.NotEnabled as error:
        return Authentication([*first, failure(account.REGION, error)], None, error.why)
    except CaffeSparkError as error:
        first.append(failure(account.REGION, error))
    return Authentication(first, Cloud.of(session, region, caller))
