"""All checks of a stack on AWS, side by side: first who is asking, then everything that this lets us ask."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from bootstrap import aws
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.aws.preflight import account, capacity, group, images, keys, quotas, tools
from infra.aws.preflight.cloud import Cloud, Home
from infra.aws.preflight.finding import CloudCheck, Finding, LocalCheck, failure, show

if TYPE_CHECKING:
    from rich.console import Console

    from infra.aws.config import AwsConfig

AT_ONCE: Final = 8


def check(
    config: AwsConfig, stack: str, *, console: Console, env: Mapping[str, str] | None = None
) -> list[Finding]:
    """Ask AWS and this machine, and print each answer. Changes nothing and costs nothing.

    What cannot be asked (no credentials, no right, no network) is said, and the rest is asked all the same.
    `env` has the PATH on which tools are looked for; else this process's own.
    """
    there, here = plan(config, stack, os.environ if env is None else env)
    with (
        console.status(f"Asking AWS about {config.region}, and this machine …"),
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        local = [pool.submit(one.ask) for one in here]
        first, cloud, why = _who(config.region)
        if cloud is None:
            cloudy = [finding for one in there for finding in one.without(why)]
        else:
            cloudy = [
                finding
                for found in pool.map(partial(CloudCheck.ask, cloud=cloud), there)
                for finding in found
            ]
        findings = [*first, *cloudy, *(finding for future in local for finding in future.result())]
    show(findings, console)
    return findings


def plan(
    config: AwsConfig, stack: str, env: Mapping[str, str]
) -> tuple[Sequence[CloudCheck], Sequence[LocalCheck]]:
    """What is asked of AWS and of this machine, in the order in which it is told. Pure."""
    there = [
        *capacity.checks(config, stack),
        *quotas.checks(config, stack),
        *images.checks(config, stack),
        *group.checks(config, stack),
        *keys.cloud_checks(config, stack),
    ]
    return there, [*keys.local_checks(config, stack), *tools.checks(config, stack, env)]


def _who(region: str) -> tuple[list[Finding], Cloud | None, str]:
    """Who asks and whether the region is theirs; then whom to ask further, or why nobody can be."""
    try:
        session = aws.session()
        home = Home.of(session)
        first = [account.identity(home)]
    except (ConfigError, aws.Offline) as error:
        why = "AWS cannot be reached" if isinstance(error, aws.Offline) else "there are no valid credentials"
        return [failure(account.IDENTITY, error), Finding(account.REGION, "skipped", why)], None, why
    except CaffeSparkError as error:
        first = [failure(account.IDENTITY, error)]
    try:
        first.append(account.region(home, region))
    except account.NotEnabled as error:
        return [*first, failure(account.REGION, error)], None, error.why
    except CaffeSparkError as error:
        first.append(failure(account.REGION, error))
    return first, Cloud.of(session, region), ""
