"""All checks of a stack on AWS: what is asked, and of whom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bootstrap.clouds import aws
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.aws.preflight import account, capacity, group, images, keys, quotas, tools
from infra.aws.preflight.cloud import Cloud, Home
from infra.preflight.finding import CloudCheck, Finding, LocalCheck, failure
from infra.preflight.run import Introduced, run

if TYPE_CHECKING:
    from rich.console import Console

    from infra.aws.settings.config import AwsConfig


def check(
    config: AwsConfig, stack: str, *, console: Console, env: Mapping[str, str] | None = None
) -> list[Finding]:
    """Ask AWS and this machine, and print each answer. Changes nothing and costs nothing.

    What cannot be asked (no credentials, no right, no network) is said, and the rest is asked all the same.
    `env` has the PATH on which tools are looked for; else this process's own.
    """
    there, here = plan(config, stack, os.environ if env is None else env)
    doing = f"Asking AWS about {config.region}, and this machine …"
    return run(lambda: _who(config.region), there, here, console=console, doing=doing)


def plan(
    config: AwsConfig, stack: str, env: Mapping[str, str]
) -> tuple[Sequence[CloudCheck[Cloud]], Sequence[LocalCheck]]:
    """What is asked of AWS and of this machine, in the order in which it is told. Pure."""
    there = [
        *capacity.checks(config, stack),
        *quotas.checks(config, stack),
        *images.checks(config, stack),
        *group.checks(config, stack),
        *keys.cloud_checks(config, stack),
    ]
    return there, [*keys.local_checks(config, stack), *tools.checks(config, stack, env)]


def _who(region: str) -> Introduced[Cloud]:
    """Who asks, and whether the region is theirs."""
    try:
        session = aws.session()
        home = Home.of(session)
        first = [account.identity(home)]
    except (ConfigError, aws.Offline) as error:
        why = "AWS cannot be reached" if isinstance(error, aws.Offline) else "there are no valid credentials"
        said = [failure(account.IDENTITY, error), Finding(account.REGION, "skipped", why)]
        return Introduced(said, None, why)
    except CaffeSparkError as error:
        first = [failure(account.IDENTITY, error)]
    try:
        first.append(account.region(home, region))
    except account.NotEnabled as error:
        return Introduced([*first, failure(account.REGION, error)], None, error.why)
    except CaffeSparkError as error:
        first.append(failure(account.REGION, error))
    return Introduced(first, Cloud.of(session, region))
