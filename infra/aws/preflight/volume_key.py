"""Check of the key that encrypts the workers' volumes: Auto Scaling must be able to use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from bootstrap.errors import ConfigError
from infra.aws import volume_key
from infra.aws.preflight.cloud import Cloud
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

NAME: Final = "volume key"
NOT_FOUND: Final = "NotFoundException"
STATEMENTS: Final = "docs/aws.md#the-volumes-key has the statements of its policy"


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check."""
    return [CloudCheck(NAME, lambda cloud: [_look(cloud, config, stack)])]


def _look(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    name, whose = config.kms_key, f"kmsKey {config.kms_key}"
    if name is None:
        with aws.translate_errors("asking for the default key of EBS"):
            name, whose = (
                cloud.ec2.get_ebs_default_kms_key_id()["KmsKeyId"],
                "the account's default key of EBS",
            )
    if volume_key.AWSS_OWN in name:
        return Finding(NAME, "passed", f"AWS's own ({name}), which Auto Scaling may use")
    key = _describe(cloud, name, config, stack)
    if key.get("KeyManager") == "AWS":
        return Finding(NAME, "passed", f"{whose} is AWS's own, which Auto Scaling may use")
    if wrong := _fault(key):
        fix = f"Run `pulumi config set kmsKey KEY --stack {stack}` with another one."
        return Finding(NAME, "failed", f"{whose}, {key['Arn']}, {wrong}", fix)
    if config.kms_key and config.kms_grant:
        return Finding(NAME, "passed", f"{key['Arn']}; the stack makes the grant for Auto Scaling's role")
    return _open(cloud, key["Arn"], whose, config, stack)


def _open(cloud: Cloud, arn: str, whose: str, config: AwsConfig, stack: str) -> Finding:
    """Check that a customer managed key is open to Auto Scaling's role."""
    if not cloud.caller:
        return Finding(NAME, "skipped", "who is asking is not known")
    role = volume_key.service_role(cloud.caller)
    opened = _opened(cloud, arn, role)
    if opened:
        return Finding(NAME, "passed", f"{arn}; {opened} lets Auto Scaling's role use it")
    command = volume_key.grant_command(arn, role, config.region)
    managed = f"{whose} is customer managed ({arn}), and"
    if opened is None:
        return Finding(
            NAME,
            "skipped",
            f"{managed} these credentials may not read its grants and its policy",
            f"Ask its administrator whether {role} may use it; {STATEMENTS}. Or run `{command}`.",
        )
    setting = "kmsGrant true" if config.kms_key else f"kmsKey {arn}"
    return Finding(
        NAME,
        "failed",
        f"{managed} neither a grant nor its policy lets Auto Scaling's role use it: no worker would start",
        f"Run `pulumi config set {setting} --stack {stack}`, and the stack makes the grant; or `{command}`; "
        f"{STATEMENTS}.",
    )


def _describe(cloud: Cloud, name: str, config: AwsConfig, stack: str) -> Any:  # noqa: ANN401 - AWS's own
    """Return the key's description.

    Raises:
        ConfigError: there is no such key, or a permission is missing.
        ServiceDown: AWS does not answer.
    """
    with aws.translate_errors(f"looking at key {name}"):
        try:
            return cloud.kms.describe_key(KeyId=name)["KeyMetadata"]
        except ClientError as error:
            if aws.code_of(error) != NOT_FOUND:
                raise
            raise ConfigError(
                f"kmsKey {name}",
                f"{name} is not in {config.region}, and keys are regional",
                f"Run `aws kms list-aliases --region {config.region}`, then "
                f"`pulumi config set kmsKey KEY --stack {stack}`.",
            ) from error


def _fault(key: Any) -> str:  # noqa: ANN401 - AWS's own
    """Return why volumes cannot be encrypted with the key, or an empty text. Pure."""
    if key.get("KeyState", "Enabled") != "Enabled":
        return f"is in state {key['KeyState']}"
    spec = key.get("KeySpec") or key.get("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT")
    if spec != "SYMMETRIC_DEFAULT" or key.get("KeyUsage", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT":
        return f"is of kind {spec}, and EBS takes symmetric keys only"
    return ""


def _opened(cloud: Cloud, arn: str, role: str) -> str | None:
    """Return what lets the role use the key, or an empty text; None if grants or policy are not readable."""
    unread = 0
    try:
        with aws.translate_errors(f"reading the grants of {arn}"):
            pages = cloud.kms.get_paginator("list_grants").paginate(KeyId=arn)
            if volume_key.is_granted([one for page in pages for one in page["Grants"]], role):
                return "a grant"
    except aws.Denied:
        unread += 1
    try:
        with aws.translate_errors(f"reading the policy of {arn}"):
            text = cloud.kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
        if volume_key.allows(json.loads(text), role):
            return "its policy"
    except aws.Denied:
        unread += 1
    return None if unread else ""
