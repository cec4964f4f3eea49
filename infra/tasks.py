"""Fabric tasks of `infra`: preflight, cost, regions, sweep."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fabric import task
from invoke.context import Context
from invoke.exceptions import Exit

from bootstrap.console import STACK_HELP, console, expected_errors_in_one_line
from bootstrap.errors import ConfigError
from bootstrap.inventory.stack import selected_stack, stacks_up
from tools.environment import ROOT, environment

if TYPE_CHECKING:
    from infra.settings.section import StackSettings

RESULTS: Final = ROOT / "results"


def configured(root: Path, stack: str | None, env: Mapping[str, str]) -> tuple[str, StackSettings]:
    """Return the name and configuration of a stack, from its file; the stack need not exist.

    Raises:
        ConfigError: the file does not exist or is not valid.
    """
    # Its models take a tenth of a second to import, which other commands need not pay.
    from infra.config import from_file

    name = stack or selected_stack(root, env)
    return name, from_file(root / f"Pulumi.{name}.yaml", name)


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def preflight(_: Context, stack: str | None = None) -> None:
    """Check login, quotas, names and tools before `pulumi up`."""
    from infra.registry import PROVIDERS

    env = environment(ROOT, os.environ)
    name, config = configured(ROOT, stack, env)
    check = PROVIDERS[config.provider].preflight
    findings = check(config, name, root=ROOT, console=console, env=env)
    if any(finding.verdict == "failed" for finding in findings):
        raise Exit(code=1)


@task(help={"stack": STACK_HELP, "refresh": "fetch the cloud's current prices first"})
@expected_errors_in_one_line
def cost(_: Context, stack: str | None = None, refresh: bool = False) -> None:
    """Estimate the hourly cost of the stack, and of a job."""
    from infra.registry import PROVIDERS

    name, config = configured(ROOT, stack, environment(ROOT, os.environ))
    estimate = PROVIDERS[config.provider].cost
    estimate(config, name, root=ROOT, console=console, results=RESULTS, refresh=refresh)


@task(name="role-policies", help={"stack": STACK_HELP})
@expected_errors_in_one_line
def role_policies(_: Context, stack: str | None = None) -> None:
    """Print the policies that roles of a company's instance profiles must have (AWS)."""
    from infra.aws.settings.config import AwsConfig

    name, config = configured(ROOT, stack, environment(ROOT, os.environ))
    if not isinstance(config, AwsConfig):
        raise ConfigError(
            f"stack {name!r}",
            f"its provider is {config.provider}, and instance profiles are AWS's",
            "Name a stack on AWS: `fab role-policies --stack NAME`.",
        )
    from infra.aws.existing.rights import printed

    print(printed(config, name))  # for a file, not for a terminal


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def regions(_: Context, stack: str | None = None) -> None:
    """List the regions that offer the stack's machines, with prices and quotas."""
    from infra.registry import PROVIDERS

    name, config = configured(ROOT, stack, environment(ROOT, os.environ))
    PROVIDERS[config.provider].offers(config, name, root=ROOT, console=console)


@task(
    help={
        "stack": "only this stack's resources; default: all of this project",
        "region": "only this region, repeatable; default: all regions",
    },
    iterable=["region"],
)
@expected_errors_in_one_line
def sweep(_: Context, stack: str | None = None, region: list[str] | None = None) -> None:
    """List leftover resources and the commands that delete them."""
    from infra.sweep.run import sweep as search

    up = stacks_up(ROOT, environment(ROOT, os.environ))
    if not search(ROOT, stack, region or None, console=console, alive=up):
        raise Exit(code=1)
