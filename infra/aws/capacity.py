"""Size of the workers' Auto Scaling group, set once its lifecycle hooks exist; and the end of a fallback.

A group that is created with a desired capacity launches instances at once, and the first ones would have no
hooks: an instance that does not come up would not be replaced. Pulumi's `initial_lifecycle_hooks` are meant
for this, but the service that the cross-check (docs/aws.md) runs against then loses the group's instance
types.

With `fallbackAfter` the head sets the group's on-demand base. When the setting goes, `pulumi up` sets the
stack's own here: for the group's state it may never have changed.
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
        # The size of a group that scales is not the stack's: `up` would end workers in the middle of a job.
        read = {size: key for size, key in SIZES.items() if not (props.get("scales") and size != "most")}
        return ReadResult(id_=id_, outs={**props, **{size: group[key] for size, key in read.items()}})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Compare the sizes, and the ARN: another group may have the same name."""
        differs = changed(olds, news, (*SIZES, "arn"))
        other = any(bool(olds.get(key)) != bool(news.get(key)) for key in ("fallback", "scales"))
        return DiffResult(
            changes=bool(differs) or other, replaces=[], stables=[], delete_before_replace=False
        )

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Apply the new sizes; at the end of a fallback, the on-demand base."""
        fixed_again = olds.get("scales") and not news.get("scales")
        if changed(olds, news, (*SIZES, "arn")) or fixed_again:
            _set(news, resize=not news.get("scales") or bool(changed(olds, news, ("desired", "arn"))))
        if _falls_back(olds) and not _falls_back(news):
            _set_base(news)
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
        on_demand_base: int = 0,
        fallback: bool = False,
        scales: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        sizes = {"least": min_size, "most": max_size, "desired": desired_capacity}
        share = {"base": on_demand_base, "fallback": fallback, "scales": scales}
        super().__init__(
            CapacityProvider(), name, {"region": region, "group": group, "arn": arn, **sizes, **share}, opts
        )


def _set(props: Props, *, resize: bool = True) -> None:
    from bootstrap.clouds import aws

    size: Any = {"DesiredCapacity": int(props["desired"])} if resize else {}
    with aws.translate_errors(f"telling the Auto Scaling group {props['group']} its size"):
        _client(props).update_auto_scaling_group(
            AutoScalingGroupName=props["group"],
            # Pulumi passes numbers as floats.
            MinSize=int(props["least"]),
            MaxSize=int(props["most"]),
            **size,
        )


def _falls_back(props: Props) -> bool:
    """Return whether the head sets the on-demand base; states of earlier versions do not say."""
    return bool(props.get("fallback"))


def _set_base(props: Props) -> None:
    """Set the on-demand base; nothing else of the policy changes."""
    from bootstrap.clouds import aws

    with aws.translate_errors(f"telling the Auto Scaling group {props['group']} its on-demand base"):
        client = _client(props)
        found = client.describe_auto_scaling_groups(AutoScalingGroupNames=[props["group"]])
        policy: Any = found["AutoScalingGroups"][0]["MixedInstancesPolicy"]
        # AWS tells name and id of the template, and takes one of them.
        policy["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)
        policy["InstancesDistribution"]["OnDemandBaseCapacity"] = int(props["base"])
        client.update_auto_scaling_group(AutoScalingGroupName=props["group"], MixedInstancesPolicy=policy)


def _client(props: Props) -> AutoScalingClient:
    from bootstrap.clouds import aws

    return aws.session().client("autoscaling", region_name=props["region"], config=aws.RETRY)
