"""Markets that a group's workers come from: spot and on demand mixed, or a capacity reservation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.aws.workers import GpuSpotWorkersArgs


def target(name: str | None) -> aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs | None:
    """Return the template's target: a reservation by its id, or a resource group of them by its ARN."""
    if name is None:
        return None
    wanted = aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
        capacity_reservation_id=None if name.startswith("arn:") else name,
        capacity_reservation_resource_group_arn=name if name.startswith("arn:") else None,
    )
    return aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(capacity_reservation_target=wanted)


def reserved(template: aws.ec2.LaunchTemplate) -> aws.autoscaling.GroupLaunchTemplateArgs:
    """Return the source of workers of one type, all in the template's reservation."""
    return aws.autoscaling.GroupLaunchTemplateArgs(
        id=template.id, version=template.latest_version.apply(_number)
    )


def mixed(
    args: GpuSpotWorkersArgs, template: aws.ec2.LaunchTemplate
) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
    """Return the source of workers of several types, on spot and on demand."""
    return aws.autoscaling.GroupMixedInstancesPolicyArgs(
        instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_base_capacity=args.on_demand_base,
            on_demand_percentage_above_base_capacity=args.on_demand_percentage,
            # On demand: the order in the stack file. Spot: pools that are unlikely to be interrupted,
            # cheapest first.
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
    # Pulumi passes numbers as floats.
    return str(int(version)) if version is not None else ""
