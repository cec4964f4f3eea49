"""Preflight of a stack on AWS: the list of checks, and authentication."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bootstrap.clouds import aws
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.aws.cost import hourly, now, prices
from infra.aws.preflight import account, capacity, group, images, keys, quotas, tools
from infra.aws.preflight.cloud import Cloud, Home
from infra.preflight import budget
from infra.preflight.finding import CloudCheck, Finding, LocalCheck, failure
from infra.preflight.run import Authentication, run

if TYPE_CHECKING:
    from rich.console import Console

    from infra.aws.settings.config import AwsConfig
    from infra.cost.bill import Bill


def check(
    config: AwsConfig, stack: str, *, console: Console, env: Mapping[str, str] | None = None
) -> list[Finding]:
    """Check AWS and this machine, and print the findings. Changes nothing and costs nothing.

    A check that cannot run (no credentials, no permission, no network) is skipped; the others still run.
    `env` has the PATH on which tools are looked up; by default this process's own.
    """
    cloud_checks, local_checks = plan(config, stack, os.environ if env is None else env)
    status = f"Asking AWS about {config.region}, and this machine …"
    return run(
        lambda: _authenticate(config.region), cloud_checks, local_checks, console=console, status=status
    )


def plan(
    config: AwsConfig, stack: str, env: Mapping[str, str]
) -> tuple[Sequence[CloudCheck[Cloud]], Sequence[LocalCheck]]:
    """Return the checks of AWS and of this machine, in the order of the output. Pure."""
    cloud_checks = [
        *capacity.checks(config, stack),
        *quotas.checks(config, stack),
        *images.checks(config, stack),
        *group.checks(config, stack),
        *keys.cloud_checks(config, stack),
    ]
    return cloud_checks, [
        *keys.local_checks(config, stack),
        *tools.checks(config, stack, env),
        *budget.checks(config, stack, lambda: _bill(config), hourly.lower(config)),
    ]


def _bill(config: AwsConfig) -> Bill:
    """Return the estimate that `pulumi up` would make now."""
    return hourly.hourly(config, now.current(config, prices.load()))


def _authenticate(region: str) -> Authentication[Cloud]:
    """Authenticate, and check that the region is enabled."""
    try:
        session = aws.session()
        home = Home.of(session)
        first = [account.identity(home)]
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
    return Authentication(first, Cloud.of(session, region))
