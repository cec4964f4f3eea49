"""Checks of the credentials and of the region, on which all other checks depend."""

from __future__ import annotations

from typing import Final

from bootstrap.clouds import aws
from bootstrap.errors import ConfigError
from infra.aws.preflight.cloud import Home
from infra.preflight.finding import Finding

IDENTITY: Final = "identity"
REGION: Final = "region"


class NotEnabled(ConfigError):
    """The account has not enabled the region, so that nothing in it can be queried."""


def caller(home: Home) -> tuple[str, Finding]:
    """Return the ARN of the user or role, and the finding; this call needs no permission.

    Raises:
        ConfigError: the credentials are missing, partial, wrong or expired.
        ServiceDown: AWS does not answer.
    """
    with aws.translate_errors("asking who this is"):
        found = home.sts.get_caller_identity()
    return found["Arn"], Finding(IDENTITY, "passed", f"account {found['Account']}, {found['Arn']}")


def region(home: Home, name: str) -> Finding:
    """Check that the account has enabled the region; newer regions are disabled by default.

    Raises:
        NotEnabled: it has not; the error has the command that enables it.
        Denied: permission ec2:DescribeRegions is missing.
        ServiceDown: AWS does not answer, or has no such region.
    """
    with aws.translate_errors(f"looking for region {name}"):
        found = home.ec2.describe_regions(RegionNames=[name], AllRegions=True)["Regions"]
    status = found[0].get("OptInStatus", "") if found else "unknown"
    if status in ("opted-in", "opt-in-not-required"):
        return Finding(REGION, "passed", f"{name} is enabled")
    raise NotEnabled(
        f"region: {name}",
        f"{name} is {status} in this account",
        f"Run `aws account enable-region --region-name {name}` and wait some minutes; or use another one.",
    )
