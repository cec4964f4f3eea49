"""How many workers the group has, said to it once its lifecycle hooks are there.

A group that is made with a number launches machines at once, and those of the first seconds would have no
hooks: nobody would replace one that does not come up. Pulumi's `initial_lifecycle_hooks` are for that, but
the service that the cross-check (docs/aws.md) runs against forgets a group's types on the way.
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
"""Property, as stacks have it in their state → AWS's parameter.

All three go in one call: one by one, a new maximum may lie below the old minimum."""


class CapacityProvider(Provider):
    """The least, the greatest and the desired number of an Auto Scaling group's machines."""

    def create(self, props: Props) -> CreateResult:
        """Say them; the group acts on it in its own time."""
        _set(props)
        return CreateResult(id_=str(props["group"]), outs=dict(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """What the group has been told meanwhile, by whomever; gone when the group is."""
        from bootstrap.clouds import aws

        with aws.translate_errors(f"looking at the Auto Scaling group {id_}"):
            answer = _client(props).describe_auto_scaling_groups(AutoScalingGroupNames=[id_])
        found = answer["AutoScalingGroups"]
        if not found:
            return ReadResult(id_="", outs={})
        group: Mapping[str, Any] = found[0]
        return ReadResult(id_=id_, outs={**props, **{size: group[key] for size, key in SIZES.items()}})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Other numbers, or another group of the same name."""
        differs = changed(olds, news, (*SIZES, "arn"))
        return DiffResult(changes=bool(differs), replaces=[], stables=[], delete_before_replace=False)

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """As at first."""
        _set(news)
        return UpdateResult(outs=dict(news))


class Capacity(Resource, module="aws", name="Capacity"):
    """Let it depend on the group's hooks. `arn` is the group's: it tells one from its successor."""

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
            # Numbers travel as floating-point ones.
            MinSize=int(props["least"]),
            MaxSize=int(props["most"]),
            DesiredCapacity=int(props["desired"]),
        )


def _client(props: Props) -> AutoScalingClient:
    from bootstrap.clouds import aws

    return aws.session().client("autoscaling", region_name=props["region"], config=aws.RETRY)
