"""Who is asking, and whether that account has the region at all: what every other question depends on."""

from __future__ import annotations

from typing import Final

from bootstrap.clouds import aws
from bootstrap.errors import ConfigError
from infra.aws.preflight.cloud import Home
from infra.preflight.finding import Finding

IDENTITY: Final = "identity"
REGION: Final = "region"


class NotEnabled(ConfigError):
    """The account has not enabled the region: nothing in it can be asked."""


def identity(home: Home) -> Finding:
    """The account and the user or role; AWS grants this call to everybody.

    Raises:
        ConfigError: the credentials are missing, partial, wrong or expired.
        ServiceDown: AWS does not answer.
    """
    with aws.translate_errors("asking who this is"):
        caller = home.sts.get_caller_identity()
    return Finding(IDENTITY, "holds", f"account {caller['Account']}, {caller['Arn']}")


def region(home: Home, name: str) -> Finding:
    """Whether the account has enabled the region; the newer ones are off until somebody asks for them.

    Raises:
        NotEnabled: it has not, with the command that does it.
        Denied: without ec2:DescribeRegions.
        ServiceDown: AWS does not answer, or has no such region.
    """
    with aws.translate_errors(f"looking for region {name}"):
        found = home.ec2.describe_regions(RegionNames=[name], AllRegions=True)["Regions"]
    status = found[0].get("OptInStatus", "") if found else "unknown"
    if status in ("opted-in", "opt-in-not-required"):
        return Finding(REGION, "holds", f"{name} is enabled")
    raise NotEnabled(
        f"region: {name}",
        f"{name} is {status} in this account",
        f"Run `aws account enable-region --region-name {name}` and wait some minutes; or take another one.",
    )
