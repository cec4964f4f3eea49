"""Look-up of what a company gives to a stack (network, instance profiles), which the stack never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.aws.site import Site, planned

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig


@dataclass(frozen=True)
class Profile:
    """An instance profile with its role; `role_id` is the first part of its instances' `aws:userid`."""

    name: str
    arn: str
    role_name: str
    role_arn: str
    role_id: str


@dataclass(frozen=True)
class Profiles:
    """Profiles of head and workers, and the ARN of the jobs' role, if the company gives that, too."""

    head: Profile
    worker: Profile
    job_role: str | None = None


@dataclass(frozen=True)
class Given:
    """The site of the machines, and the company's instance profiles, if any."""

    site: Site
    profiles: Profiles | None = None


def look_up(config: AwsConfig, stack: str) -> Given:
    """Ask AWS about what the configuration names; nothing is asked where it names nothing.

    Raises:
        ConfigError: something does not exist, does not fit, or may not be described.
        ServiceDown: AWS does not answer.
    """
    if config.vpc is None and config.instance_profiles is None:
        return Given(planned(config))
    # the SDK takes a second to import
    from bootstrap.clouds import aws
    from infra.aws.existing import network, profiles

    session, site, found = aws.session(), None, None
    if config.subnets:
        ec2 = session.client("ec2", region_name=config.region, config=aws.RETRY)
        site = network.site(ec2, config, config.subnets, stack)
    if config.instance_profiles:
        iam = session.client("iam", region_name=config.region, config=aws.RETRY)
        found = profiles.look_up(iam, config.instance_profiles, stack)
    return Given(site or planned(config), found)
