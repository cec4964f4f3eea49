"""Workers: an Auto Scaling group of spot instances of several types, in every zone of the stack.

The group replaces interrupted instances by itself: a new instance configures itself (see
`bootstrap.join.user_data`), and is in service only then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import pulumi
import pulumi_aws as aws

from bootstrap.join import user_data as boot
from infra.aws import markets, volume_key
from infra.aws.capacity import Capacity
from infra.aws.identity import fallback_policy, lifecycle_policy, stop_policy
from infra.aws.roles import Machine
from infra.aws.template import template
from infra.tags import full_name

JOINING_S: Final = 1800
"""Seconds until an instance that has not reported itself as up is replaced; it takes three to eight
minutes."""
LEAVING_S: Final = 110
"""Seconds, within the two minutes' notice of a spot interruption, which the hook cannot extend; instances
count on them (`bootstrap.join.on_node.notice.HOOK`)."""
WARM_UP_S: Final = 60
"""Seconds for metrics to settle; the launch hook has already waited for the instance to be a node."""
BASE: Final = "mixedInstancesPolicy.instancesDistribution.onDemandBaseCapacity"
"""Property that the head sets where `fallbackAfter` is given. What `refresh` finds is kept; along with a new
launch template, `pulumi up` sends what its state has, and the head sets the right one within a minute."""


@dataclass(frozen=True)
class GpuSpotWorkersArgs:
    """Arguments of the group and its instances."""

    stack: str
    region: str
    group: str
    """Name of the Auto Scaling group, which instances are told before the group exists."""
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
    head_role: pulumi.Input[str]
    """Name of the head's role, which stops workers at the stack's limits."""
    user_data: pulumi.Input[str]
    key_pair: str | None
    # price
    on_demand_base: int
    on_demand_percentage: int
    reservation: str | None
    """Id of a capacity reservation, or ARN of a resource group of them; without it none is targeted."""
    capacity_block: bool
    max_price: Decimal | None
    """USD for a spot instance's hour; without it the on-demand price is the limit."""
    capacity_rebalance: bool
    """Launch a replacement when AWS recommends it, and then terminate the instance that is at risk: a job
    that trains there takes a snapshot within the terminating hook, and goes on."""
    # network
    efa_interfaces: int
    """Number of EFA interfaces of each worker; 0 without EFA."""
    placement_group: pulumi.Input[str] | None
    """Name of the placement group that all start in."""
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the group and everything it launches, which the provider's default tags do not reach."""
    after: Sequence[pulumi.Resource] = ()
    """Resources that must exist when an instance boots."""
    scales: bool = False
    """`fab` makes the group larger for jobs, and the head smaller again."""
    fallback: bool = False
    """The head raises the on-demand base while there is no spot capacity."""
    volume_key: pulumi.Input[str] | None = None
    """ARN of the key of the volumes; None for the account's default."""
    grant_key: bool = True
    """Grant Auto Scaling's role the use of that key."""


class GpuSpotWorkers(pulumi.ComponentResource):
    """Launch template, Auto Scaling group, and its lifecycle hooks.

    A new template (roles, image, disk) applies to instances launched from then on: there is no instance
    refresh, because that would interrupt running jobs. `fab bootstrap` applies new roles to running
    instances.

    `pulumi up` sets the number of workers to the stack's. The head sets it to zero at the stack's limits, and
    `fab` sets it back (see `bootstrap.inventory.spending`); with `scales`, `fab` makes the group larger for a
    job and the head smaller when nothing runs, and nothing else scales it. With `fallback` the on-demand base
    is the head's too.
    """

    group: pulumi.Output[str]

    def __init__(
        self, name: str, args: GpuSpotWorkersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("caffe-spark:aws:GpuSpotWorkers", name, None, opts)
        tags = {**args.tags, "Name": full_name(args.stack, "worker"), "Role": "worker"}
        launched = template(f"{name}-template", args, tags, pulumi.ResourceOptions(parent=self))
        group = aws.autoscaling.Group(
            f"{name}-group",
            name=args.group,
            # Instances are launched once the hooks exist (see `infra.aws.capacity`).
            min_size=0,
            max_size=args.max_size,
            vpc_zone_identifiers=list(args.subnet_ids),
            placement_group=args.placement_group,
            # A reservation is of one type, on demand: the template says all.
            launch_template=markets.reserved(launched) if args.reservation else None,
            mixed_instances_policy=None if args.reservation else markets.mixed(args, launched),
            capacity_rebalance=args.capacity_rebalance,
            default_instance_warmup=WARM_UP_S,
            health_check_type="EC2",
            health_check_grace_period=WARM_UP_S,
            # Do not wait for capacity that the cloud does not have: `fab` reports it, in the cloud's words.
            wait_for_capacity_timeout="0",
            # Rebalancing zones would terminate working instances.
            suspended_processes=["AZRebalance"],
            # An instance that waits for its launch hook would block `pulumi destroy` for half an hour;
            # results are in shared storage.
            force_delete=True,
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in tags.items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, *args.identity.ready],
                # The name is fixed, so the old group must be deleted first.
                delete_before_replace=True,
                # Set by `Capacity`; what `refresh` finds must not be reverted here.
                ignore_changes=[
                    "min_size",
                    "max_size",
                    "desired_capacity",
                    *([BASE] if args.fallback else []),
                ],
            ),
        )
        allowed = [] if args.identity.given else [self._allow(name, args, group)]
        granted = (
            [volume_key.grant(f"{name}-key", args.stack, args.volume_key, group.arn, self)]
            if args.volume_key is not None and args.grant_key
            else []
        )
        Capacity(
            f"{name}-capacity",
            region=args.region,
            group=group.name,
            arn=group.arn,
            min_size=args.min_size,
            max_size=args.max_size,
            desired_capacity=args.desired_capacity,
            on_demand_base=args.on_demand_base,
            fallback=args.fallback,
            scales=args.scales,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*self._hooks(name, group), *allowed, *granted]
            ),
        )
        self.group = group.name
        self.register_outputs({"group": self.group})

    def _allow(self, name: str, args: GpuSpotWorkersArgs, group: aws.autoscaling.Group) -> aws.iam.RolePolicy:
        """Let workers complete the group's hooks, and the head stop the group. Depends on the group, whose
        ARN only AWS knows."""
        child = pulumi.ResourceOptions(parent=self)
        aws.iam.RolePolicy(
            f"{name}-stop",
            name="stop-workers",
            role=args.head_role,
            policy=group.arn.apply(stop_policy).apply(json.dumps),
            opts=child,
        )
        if args.fallback:
            aws.iam.RolePolicy(
                f"{name}-fallback",
                name="on-demand-share",
                role=args.head_role,
                policy=group.arn.apply(fallback_policy).apply(json.dumps),
                opts=child,
            )
        return aws.iam.RolePolicy(
            f"{name}-lifecycle",
            name="lifecycle",
            role=args.identity.role_name,
            policy=group.arn.apply(lifecycle_policy).apply(json.dumps),
            opts=child,
        )

    def _hooks(self, name: str, group: aws.autoscaling.Group) -> list[aws.autoscaling.LifecycleHook]:
        child = pulumi.ResourceOptions(parent=self)
        return [
            aws.autoscaling.LifecycleHook(
                f"{name}-{boot.LAUNCH_HOOK}",
                name=boot.LAUNCH_HOOK,
                autoscaling_group_name=group.name,
                lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
                # An instance that does not come up is of no use: another one is launched.
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
