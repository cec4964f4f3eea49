"""KMS key of the volumes, and the grant by which Auto Scaling uses it. Pure but for resources.

A customer managed key is closed to Auto Scaling's service-linked role unless the key's policy or a grant
opens it, and a group whose template names such a key, or whose account has one as its default for EBS, starts
no instance (`Client.InternalError`). The head is launched by the operator, whose own rights count. Read on
2026-11-30:
https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
https://repost.aws/knowledge-center/kms-launch-ec2-instance

Not settled: AWS's page on Spot Instances asks for the same grant to AWSServiceRoleForEC2Spot, for encrypted
images; the pages above, which are of Auto Scaling's groups in both markets, do not. The stack's images are
not encrypted, and it makes no such grant.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from infra.aws.names import prefix

if TYPE_CHECKING:
    import pulumi
    import pulumi_aws as aws

    from infra.aws.settings.config import AwsConfig

MAX_NAME: Final = 256
SERVICE: Final = "autoscaling.amazonaws.com"
SERVICE_ROLE: Final = "AWSServiceRoleForAutoScaling"
"""Role that every Auto Scaling group has unless it names another one."""
OPERATIONS: Final = (
    *("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey"),
    *("GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant"),
)
"""Operations of the grant."""
LEAST: Final = frozenset(
    {
        "Decrypt",
        "ReEncryptFrom",
        "ReEncryptTo",
        "GenerateDataKeyWithoutPlaintext",
        "DescribeKey",
        "CreateGrant",
    }
)
"""Operations without which no instance starts:
https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html"""
AWSS_OWN: Final = "alias/aws/"
"""Prefix of aliases of AWS's own keys, which need no grant."""
KEY: Final = re.compile(
    r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:"
    r"(key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})|alias/[\w/-]+)"
)
ALIAS: Final = re.compile(r"alias/[\w/-]{1,250}")


def service_role(arn: str) -> str:
    """Return the ARN of Auto Scaling's role in the account and partition of another ARN."""
    parts = arn.split(":")
    return f"arn:{parts[1]}:iam::{parts[4]}:role/aws-service-role/{SERVICE}/{SERVICE_ROLE}"


def resolve(config: AwsConfig, provider: aws.Provider) -> pulumi.Input[str] | None:
    """Return the ARN of the volumes' key; None for the account's default.

    An alias is looked up: EC2 reports the key's own ARN, and under another name a volume would count as
    changed at each update.
    """
    name = config.kms_key
    if name is None or ":key/" in name:
        return name
    import pulumi
    import pulumi_aws as aws

    return aws.kms.get_key_output(key_id=name, opts=pulumi.InvokeOptions(provider=provider)).arn


def grant(
    name: str,
    stack: str,
    key: pulumi.Input[str],
    group_arn: pulumi.Output[str],
    parent: pulumi.Resource,
) -> aws.kms.Grant:
    """Open a key to Auto Scaling's role; the key's policy stays as it is.

    The grant depends on the group, with whose creation AWS makes the role in an account that has none.
    """
    import pulumi
    import pulumi_aws as aws

    return aws.kms.Grant(
        name,
        name=prefix(stack, "workers", MAX_NAME).rstrip("-"),
        key_id=key,
        grantee_principal=group_arn.apply(service_role),
        operations=list(OPERATIONS),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def grant_command(key: str, principal: str, region: str) -> str:
    """Return the command that makes the grant."""
    words = ["aws", "kms", "create-grant", "--key-id", key, "--grantee-principal", principal]
    return shlex.join([*words, "--operations", *OPERATIONS, "--region", region])


def is_granted(grants: Sequence[Mapping[str, Any]], principal: str) -> bool:
    """Return whether the principal has a grant with all operations that it needs."""
    return any(
        set(grant.get("Operations", ())) >= LEAST
        for grant in grants
        if grant.get("GranteePrincipal") == principal and not grant.get("Constraints")
    )


def allows(policy: Mapping[str, Any], principal: str) -> bool:
    """Return whether a key's policy lets the principal take all operations that it needs.

    Statements for the account's root pass on to policies of IAM, which a service's role has none of for keys.
    Denials and conditions are not weighed, but for statements for everybody, which do not count with one.
    """
    opened: set[str] = set()
    for statement in policy.get("Statement", ()):
        if statement.get("Effect") == "Allow" and _is_for(statement, principal):
            opened.update(_list(statement.get("Action")))
    return all(any(_matches(f"kms:{one}", action) for action in opened) for one in LEAST)


def _is_for(statement: Mapping[str, Any], principal: str) -> bool:
    who = statement.get("Principal")
    named = _list(who.get("AWS")) if isinstance(who, Mapping) else _list(who)
    return principal in named or ("*" in named and "Condition" not in statement)


def _matches(action: str, pattern: str) -> bool:
    """Compare an action with a pattern of a policy; case does not count."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, action, re.IGNORECASE) is not None


def _list(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(one) for one in value] if isinstance(value, list) else []
