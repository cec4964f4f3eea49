"""Launch template of a worker: image, disk, interfaces, rights, and the tags of what a launch creates."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from infra.aws import fabric, markets
from infra.aws.machine import METADATA, VOLUME
from infra.aws.names import prefix

if TYPE_CHECKING:
    from infra.aws.workers import GpuSpotWorkersArgs

MAX_PREFIX: Final = 99
TAGGED: Final = ("instance", "volume", "network-interface")
"""Resource types that every launch creates.

Not `spot-instances-request`: with such a tag EC2 refuses each on-demand launch of the template, also one of a
fleet that has both markets ("You cannot specify tags for Spot instances requests if there are no Spot
instances requests being created by the request", InvalidParameterValue). A group with `onDemandBase`, or one
whose on-demand share is raised while it runs, would never get these workers. Read on 2026-11-30:
https://github.com/aws/karpenter-provider-aws/issues/5850 (CreateFleet, with `lifecycle: on-demand`) and
https://github.com/github-aws-runners/terraform-aws-github-runner/issues/4561 (2025). Requests of a group are
one-time: they close with their instance, so nothing is left that a tag would find.
"""


def template(
    name: str, args: GpuSpotWorkersArgs, tags: Mapping[str, str], opts: pulumi.ResourceOptions
) -> aws.ec2.LaunchTemplate:
    """Register the template; `tags` are those of what it launches, too."""
    interfaces = fabric.interfaces(args.efa_interfaces, args.security_group_ids)
    return aws.ec2.LaunchTemplate(
        name,
        name_prefix=prefix(args.stack, "worker", MAX_PREFIX),
        description=f"caffe-spark: a worker of stack {args.stack}",
        image_id=args.image,
        # The group's list overrides it; a template without one is incomplete.
        instance_type=args.instance_types[0],
        key_name=args.key_pair,
        user_data=pulumi.Output.from_input(args.user_data).apply(_base64),
        update_default_version=True,
        instance_initiated_shutdown_behavior="terminate",
        iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(arn=args.identity.profile_arn),
        network_interfaces=interfaces,
        # Groups are each interface's where a template names interfaces.
        vpc_security_group_ids=None if interfaces else list(args.security_group_ids),
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(**METADATA),
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=args.root_device,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type=VOLUME,
                    volume_size=args.volume_gb,
                    # Strings: a launch template has a third state, unset.
                    encrypted="true",
                    kms_key_id=args.volume_key,
                    delete_on_termination="true",
                ),
            )
        ],
        capacity_reservation_specification=markets.target(args.reservation),
        # https://docs.aws.amazon.com/autoscaling/ec2/userguide/launch-template-capacity-blocks.html
        instance_market_options=(
            aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
            if args.capacity_block
            else None
        ),
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags) for kind in TAGGED
        ],
        tags=tags,
        opts=opts,
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
