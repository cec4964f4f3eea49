"""Dry runs of the EC2 calls that a stack begins with, for operators whose policies may not be simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from bootstrap.errors import CaffeSparkError
from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.policy import SHOWN
from infra.preflight.finding import Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

ALLOWED: Final = "DryRunOperation"
"""EC2's code for: it would have succeeded."""
Call = tuple[str, Callable[[], object]]


def look(cloud: Cloud, config: AwsConfig, stack: str, name: str) -> Finding:
    """Try the calls; nothing is created. What cannot be tried is said."""
    allowed: list[str] = []
    missing: list[str] = []
    unclear: list[str] = []
    for action, call in _calls(cloud, config, stack):
        try:
            (allowed if _may(action, call) else unclear).append(action)
        except aws.Denied as error:
            missing.append(error.why.removeprefix("these credentials lack the permission "))
        except CaffeSparkError:
            unclear.append(action)
    if missing:
        return Finding(
            name,
            "failed",
            f"by dry runs, these credentials lack {', '.join(dict.fromkeys(missing))}; others were not asked",
            f"Ask an administrator to allow them; {SHOWN} has the whole policy.",
        )
    tried = f"{', '.join(allowed)} allowed, by dry runs" if allowed else "no dry run had an answer"
    open_ = f"; no answer for {', '.join(unclear)}" if unclear else ""
    return Finding(
        name,
        "note",
        f"{tried}{open_}; rights of IAM, S3 and Auto Scaling cannot be tried, and IAM simulates nothing for "
        "these credentials (iam:SimulatePrincipalPolicy)",
        f"Compare them with the policy of {SHOWN}.",
    )


def _may(action: str, call: Callable[[], object]) -> bool:
    """Return True if EC2 would take the call.

    Raises:
        Denied: a permission is missing.
        ServiceDown: EC2 refuses for another reason, or does not answer.
    """
    with aws.translate_errors(f"trying {action}"):
        try:
            call()
        except ClientError as error:
            if aws.code_of(error) != ALLOWED:
                raise
            return True
    return False  # a dry run never succeeds; whatever this answer is, it is none of EC2's


def _calls(cloud: Cloud, config: AwsConfig, stack: str) -> Iterator[Call]:
    ec2: Any = cloud.ec2
    name = tags.full_name(stack, "rights")
    marked = [{"Key": key, "Value": value} for key, value in tags.cloud_tags(stack).items()]
    if config.vpc is None:
        yield from _network(ec2, config, marked)
    if config.security_groups is None or config.security_groups.additional:
        place = {"VpcId": config.vpc} if config.vpc else {}
        yield (
            "ec2:CreateSecurityGroup",
            lambda: ec2.create_security_group(GroupName=name, Description=name, DryRun=True, **place),
        )
    yield (
        "ec2:CreateLaunchTemplate",
        lambda: ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"InstanceType": config.instance_types[0]},
            DryRun=True,
        ),
    )
    if config.head_ami:
        yield (
            "ec2:RunInstances",
            lambda: ec2.run_instances(
                ImageId=config.head_ami, InstanceType=config.head_type, MinCount=1, MaxCount=1, DryRun=True
            ),
        )


def _network(ec2: Any, config: AwsConfig, marked: list[dict[str, str]]) -> Iterator[Call]:  # noqa: ANN401
    yield (
        "ec2:CreateVpc",
        lambda: ec2.create_vpc(
            CidrBlock=str(config.cidr),
            TagSpecifications=[{"ResourceType": "vpc", "Tags": marked}],
            DryRun=True,
        ),
    )
    yield "ec2:CreateInternetGateway", lambda: ec2.create_internet_gateway(DryRun=True)
    if config.egress == "nat":
        yield "ec2:AllocateAddress", lambda: ec2.allocate_address(Domain="vpc", DryRun=True)
