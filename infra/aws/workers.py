"""Workers: an Auto Scaling group of spot instances of several types, in every zone of the stack.

It replaces what the cloud takes back, with nobody's help: a machine that comes brings itself up (see
`bootstrap.join.user_data`), and only then counts as in service.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import pulumi
import pulumi_aws as aws

from bootstrap.join import user_data as boot
from infra.aws.capacity import Capacity
from infra.aws.identity import Machine, lifecycle_policy
from infra.aws.machine import METADATA, VOLUME
from infra.aws.names import prefix
from infra.tags import full_name

MAX_TEMPLATE_PREFIX: Final = 99
JOINING_S: Final = 1800
"""Until a machine that has not said that it is up is replaced: it takes three to eight minutes."""
LEAVING_S: Final = 110
"""Within the two minutes' notice that a spot instance gets; the hook cannot lengthen those."""
WARM_UP_S: Final = 60
"""The joining hook has held the machine until it was a node; this is for its numbers to settle."""
ALL: Final = 100


@dataclass(frozen=True)
class GpuSpotWorkersArgs:
    """What the group and its machines are made from."""

    stack: str
    region: str
    group: str
    """Name of the Auto Scaling group, which machines are told before it is there."""
    # size
    min_size: int
    max_size: int
    desired_capacity: int
    # machines
    instance_types: Sequence[str]
    image: pulumi.Input[str]
    root_device: str
    volume_gb: int
    identity: Machine
    user_data: pulumi.Input[str]
    key_pair: str | None
    # price
    on_demand_base: int
    on_demand_percentage: int
    max_price: Decimal | None
    """USD for a spot instance's hour; without it the on-demand price is the limit."""
    # network
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the group and of everything it launches: the provider's default tags do not reach that."""
    after: Sequence[pulumi.Resource] = ()
    """What has to be there when a machine boots."""


class GpuSpotWorkers(pulumi.ComponentResource):
    """Launch template, Auto Scaling group, and its lifecycle hooks.

    A new template (roles, image, disk) is for machines that come from now on: there is no instance refresh,
    because that would end jobs which run. `fab bootstrap` brings new roles to those that are there.

    The number of workers is the stack's word, and `pulumi up` sets it: nothing else scales this group.
    """

    group: pulumi.Output[str]

    def __init__(
        self, name: str, args: GpuSpotWorkersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("caffe-spark:aws:GpuSpotWorkers", name, None, opts)
        tags = {**args.tags, "Name": full_name(args.stack, "worker"), "Role": "worker"}
        template = aws.ec2.LaunchTemplate(
            f"{name}-template",
            name_prefix=prefix(args.stack, "worker", MAX_TEMPLATE_PREFIX),
            description=f"caffe-spark: a worker of stack {args.stack}",
            image_id=args.image,
            # The group's list overrides it; a template is whole only with one.
            instance_type=args.instance_types[0],
            key_name=args.key_pair,
            user_data=pulumi.Output.from_input(args.user_data).apply(_base64),
            update_default_version=True,
            instance_initiated_shutdown_behavior="terminate",
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(arn=args.identity.profile_arn),
            vpc_security_group_ids=[args.security_group_id],
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(**METADATA),
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=args.root_device,
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type=VOLUME,
                        volume_size=args.volume_gb,
                        # Strings: a launch template knows a third state, unset.
                        encrypted="true",
                        delete_on_termination="true",
                    ),
                )
            ],
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in _launched(args)
            ],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        group = aws.autoscaling.Group(
            f"{name}-group",
            name=args.group,
            # None yet: machines come when the hooks are there (see `infra.aws.capacity`).
            min_size=0,
            max_size=args.max_size,
            vpc_zone_identifiers=list(args.subnet_ids),
            mixed_instances_policy=_mixed(args, template),
            capacity_rebalance=True,
            default_instance_warmup=WARM_UP_S,
            health_check_type="EC2",
            health_check_grace_period=WARM_UP_S,
            # Capacity that the cloud does not have is not waited for: `fab` says so, in the cloud's words.
            wait_for_capacity_timeout="0",
            # Evening out the zones would end workers that work.
            suspended_processes=["AZRebalance"],
            # A machine that still waits for its joining hook would keep `pulumi destroy` for half an hour;
            # what workers have made is in shared storage.
            force_delete=True,
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in tags.items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, *args.identity.ready],
                # It has a fixed name, which the old group must give up first.
                delete_before_replace=True,
                # Told to the group by `Capacity`; what `refresh` finds must not be taken back here.
                ignore_changes=["min_size", "max_size", "desired_capacity"],
            ),
        )
        # After the group, whose ARN only AWS knows.
        allowed = aws.iam.RolePolicy(
            f"{name}-lifecycle",
            name="lifecycle",
            role=args.identity.role_name,
            policy=group.arn.apply(lifecycle_policy).apply(json.dumps),
            opts=pulumi.ResourceOptions(parent=self),
        )
        Capacity(
            f"{name}-capacity",
            region=args.region,
            group=group.name,
            arn=group.arn,
            min_size=args.min_size,
            max_size=args.max_size,
            desired_capacity=args.desired_capacity,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._hooks(name, group), allowed]),
        )
        self.group = group.name
        self.register_outputs({"group": self.group})

    def _hooks(self, name: str, group: aws.autoscaling.Group) -> list[aws.autoscaling.LifecycleHook]:
        child = pulumi.ResourceOptions(parent=self)
        return [
            aws.autoscaling.LifecycleHook(
                f"{name}-{boot.LAUNCH_HOOK}",
                name=boot.LAUNCH_HOOK,
                autoscaling_group_name=group.name,
                lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
                # A machine that cannot bring itself up is of no use: another one is tried.
                default_result="ABANDON",
                heartbeat_timeout=JOINING_S,
                opts=child,
            ),
            aws.autoscaling.LifecycleHook(
                f"{name}-{boot.TERMINATE_HOOK}",
                name=boot.TERMINATE_HOOK,
                autoscaling_group_name=group.name,
                lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
                default_result="CONTINUE",
                heartbeat_timeout=LEAVING_S,
                opts=child,
            ),
        ]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _launched(args: GpuSpotWorkersArgs) -> list[str]:
    """What a launch makes that bears tags; asked for what it does not make, EC2 refuses the launch."""
    kinds = ["instance", "volume", "network-interface"]
    spot = args.on_demand_percentage < ALL and args.on_demand_base < args.max_size
    return [*kinds, "spot-instances-request"] if spot else kinds


def _mixed(
    args: GpuSpotWorkersArgs, template: aws.ec2.LaunchTemplate
) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
    return aws.autoscaling.GroupMixedInstancesPolicyArgs(
        instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_base_capacity=args.on_demand_base,
            on_demand_percentage_above_base_capacity=args.on_demand_percentage,
            # On demand: the stack's order. Spot: pools that are unlikely to be taken back, cheapest first.
            on_demand_allocation_strategy="prioritized",
            spot_allocation_strategy="price-capacity-optimized",
            spot_max_price=None if args.max_price is None else str(args.max_price),
        ),
        launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=(
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                    launch_template_id=template.id, version=template.latest_version.apply(_number)
                )
            ),
            overrides=[
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=kind)
                for kind in args.instance_types
            ],
        ),
    )


def _number(version: float) -> str:
    # It travels as a floating-point number.
    return str(int(version)) if version is not None else ""
