"""Size of the workers' Auto Scaling group, set once its lifecycle hooks exist.

A group that is created with a desired capacity launches instances at once, and the first ones would have no
hooks: an instance that does not come up would not be replaced. Pulumi's `initial_lifecycle_hooks` are meant
for this, but the service that the cross-check (docs/aws.md) runs against then loses the group's instance
types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.provider import Props, Provider, changed

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

SIZES: Final = {"least": "MinSize", "most": "MaxSize", "desired": "DesiredCapacity"}
"""Property, as named in the state of existing stacks → AWS's parameter.

All three are set in one call: one by one, a new maximum may be below the old minimum.
"""


class CapacityProvider(Provider):
    """Minimum, maximum and desired size of an Auto Scaling group."""

    def create(self, props: Props) -> CreateResult:
        """Set the sizes; the group scales in its own time."""
        _set(props)
        return CreateResult(id_=str(props["group"]), outs=dict(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Read the group's current sizes, whoever set them; an empty id if the group does not exist."""
        from bootstrap.clouds import aws

        with aws.translate_errors(f"looking at the Auto Scaling group {id_}"):
            answer = _client(props).describe_auto_scaling_groups(AutoScalingGroupNames=[id_])
        found = answer["AutoScalingGroups"]
        if not found:
            return ReadResult(id_="", outs={})
        group: Mapping[str, Any] = found[0]
        return ReadResult(id_=id_, outs={**props, **{size: group[key] for size, key in SIZES.items()}})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Compare the sizes, and the ARN: another group may have the same name."""
        differs = changed(olds, news, (*SIZES, "arn"))
        return DiffResult(changes=bool(differs), replaces=[], stables=[], delete_before_replace=False)

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Apply the new sizes."""
        _set(news)
        return UpdateResult(outs=dict(news))


class Capacity(Resource, module="aws", name="Capacity"):
    """Size of an Auto Scaling group; depend on the group's hooks. `arn` tells the group from its
    replacement."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        group: pulumi.Input[str],
        arn: pulumi.Input[str],
        min_size: int,
        max_size: int,
        desired_capacity: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        sizes = {"least": min_size, "most": max_size, "desired": desired_capacity}
        super().__init__(
            CapacityProvider(), name, {"region": region, "group": group, "arn": arn, **sizes}, opts
        )


def _set(props: Props) -> None:
    from bootstrap.clouds import aws

    with aws.translate_errors(f"telling the Auto Scaling group {props['group']} its size"):
        _client(props).update_auto_scaling_group(
            AutoScalingGroupName=props["group"],
            # Pulumi passes numbers as floats.
            MinSize=int(props["least"]),
            MaxSize=int(props["most"]),
            DesiredCapacity=int(props["desired"]),
        )


def _client(props: Props) -> AutoScalingClient:
    from bootstrap.clouds import aws

    return aws.session().client("autoscaling", region_name=props["region"], config=aws.RETRY)
