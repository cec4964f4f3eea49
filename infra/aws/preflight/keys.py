"""Checks of SSH keys: the stack's own, or the operator's EC2 key pair and private key file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from bootstrap.errors import ConfigError
from infra.aws.preflight.cloud import Cloud
from infra.preflight import key_file
from infra.preflight.finding import CloudCheck, Finding, LocalCheck
from infra.preflight.key_file import PAIR, public_half

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

WITHOUT: Final = "pulumi config rm-all keyPair privateKeyFile"
"""Makes the stack generate a key."""
SHOWN: Final = 10
"""Number of key pairs that are listed if the named one does not exist."""


def cloud_checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check of the key pair, if the operator uses one."""
    return [CloudCheck(PAIR, lambda cloud: [_pair(cloud, config, stack)])] if config.key_pair else []


def local_checks(config: AwsConfig, stack: str) -> list[LocalCheck]:
    """Return the check of the private key file, or that none is needed."""
    return key_file.checks(config.private_key_file, stack, WITHOUT)


def _pair(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    name = str(config.key_pair)
    with aws.translate_errors(f"looking for key pair {name}"):
        try:
            found = cloud.ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"][0]
        except ClientError as error:
            if aws.code_of(error) != "InvalidKeyPair.NotFound":
                raise
            return _not_there(cloud, name, stack)
    path = Path(str(config.private_key_file)).expanduser()
    try:
        ours = public_half(path, stack, WITHOUT)
    except ConfigError:
        # The check of the file reports what is wrong with it.
        return Finding(PAIR, "passed", f"{name} is in {cloud.region}")
    theirs = found.get("PublicKey", "")
    if theirs and theirs.split()[:2] != ours.split()[:2]:
        return Finding(
            PAIR,
            "failed",
            f"{path} is not the private key of {name} in {cloud.region}",
            f"Run `pulumi config set privateKeyFile PATH --stack {stack}`.",
        )
    return Finding(PAIR, "passed", f"{name} is in {cloud.region}, and {path} is its private key")


def _not_there(cloud: Cloud, name: str, stack: str) -> Finding:
    there = sorted(pair.get("KeyName", "") for pair in cloud.ec2.describe_key_pairs()["KeyPairs"])
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    listed = f"existing ones: {', '.join(there[:SHOWN])}{more}" if there else "it has none"
    return Finding(
        PAIR,
        "failed",
        f"{name} is not in {cloud.region}, and key pairs are regional; {listed}",
        f"Run `pulumi config set keyPair NAME --stack {stack}`, or let the stack generate a key: "
        f"`{WITHOUT} --stack {stack}`.",
    )
