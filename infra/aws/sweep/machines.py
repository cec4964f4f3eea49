"""Leftover instances of a region, what launches them, and their volumes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from infra.aws.sweep.kinds import tags_of
from infra.aws.sweep.region import Finder, RegionSearch
from infra.sweep.leak import FREE, Leak, month

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef


def _groups(search: RegionSearch) -> Iterator[Leak]:
    pages = search.autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
        Filters=[{"Name": one["Name"], "Values": one["Values"]} for one in search.filters]
    )
    for page in pages:
        for group in page["AutoScalingGroups"]:
            if group.get("Status"):
                continue  # the only status: being deleted; its instances are found on their own
            name = group["AutoScalingGroupName"]
            words = ("autoscaling", "delete-auto-scaling-group", "--force-delete")
            command = search.cli(*words, "--auto-scaling-group-name", name)
            yield search.leak("Auto Scaling group", name, tags_of(group.get("Tags")), FREE, command)


def _spot_requests(search: RegionSearch) -> Iterator[Leak]:
    live: FilterTypeDef = {"Name": "state", "Values": ["open", "active"]}
    pages = search.ec2.get_paginator("describe_spot_instance_requests").paginate(
        Filters=[*search.filters, live]
    )
    for page in pages:
        for request in page["SpotInstanceRequests"]:
            id_ = request["SpotInstanceRequestId"]
            words = ("ec2", "cancel-spot-instance-requests", "--spot-instance-request-ids", id_)
            yield search.leak("spot request", id_, tags_of(request.get("Tags")), FREE, search.cli(*words))


def _instances(search: RegionSearch) -> Iterator[Leak]:
    states = ["pending", "running", "stopping", "stopped"]
    here: FilterTypeDef = {"Name": "instance-state-name", "Values": states}
    pages = search.ec2.get_paginator("describe_instances").paginate(Filters=[*search.filters, here])
    for page in pages:
        for reservation in page["Reservations"]:
            for one in reservation["Instances"]:
                id_, usd = one["InstanceId"], _instance_price(search, one)
                command = _terminate(search, one)
                yield search.leak("instance", id_, tags_of(one.get("Tags")), usd, command)


def _terminate(search: RegionSearch, one: InstanceTypeDef) -> str:
    id_ = one["InstanceId"]
    ends = search.cli("ec2", "terminate-instances", "--instance-ids", id_)
    # What the instance uses (security group, subnet) cannot be deleted before it is terminated.
    waits = search.cli("ec2", "wait", "instance-terminated", "--instance-ids", id_)
    command = f"{ends} && {waits}"
    if "InstanceLifecycle" not in one:  # instances with a lifecycle (spot) cannot be protected
        asked = search.ec2.describe_instance_attribute(InstanceId=id_, Attribute="disableApiTermination")
        if asked["DisableApiTermination"].get("Value"):
            words = ("ec2", "modify-instance-attribute", "--no-disable-api-termination")
            command = f"{search.cli(*words, '--instance-id', id_)} && {command}"
    return command


def _instance_price(search: RegionSearch, one: InstanceTypeDef) -> Decimal | None:
    if one["State"]["Name"] in ("stopping", "stopped"):
        return FREE  # its volumes still cost, and are found on their own
    price = search.prices.types.get(one["InstanceType"])
    if price is None:
        return None
    spot = price.spot if one.get("InstanceLifecycle") == "spot" else None
    return month(spot[1] if spot else price.on_demand)


def _launch_templates(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_launch_templates").paginate(Filters=search.filters)
    for page in pages:
        for template in page["LaunchTemplates"]:
            id_, tags = template["LaunchTemplateId"], tags_of(template.get("Tags"))
            command = search.cli("ec2", "delete-launch-template", "--launch-template-id", id_)
            name = template["LaunchTemplateName"]
            yield search.leak("launch template", id_, tags, FREE, command, name=name)


def _volumes(search: RegionSearch) -> Iterator[Leak]:
    unit = search.prices.services.gp3_gb_month
    pages = search.ec2.get_paginator("describe_volumes").paginate(Filters=search.filters)
    for page in pages:
        for volume in page["Volumes"]:
            id_ = volume["VolumeId"]
            command = search.cli("ec2", "delete-volume", "--volume-id", id_)
            for held in volume.get("Attachments", []):
                if held.get("DeleteOnTermination") and search.has("instance", held.get("InstanceId")):
                    command = f"# {id_} goes with {held['InstanceId']}"
            usd = None if unit is None else unit * volume["Size"]
            yield search.leak("volume", id_, tags_of(volume.get("Tags")), usd, command)


def _images(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=search.filters)
    for page in pages:
        for image in page["Images"]:
            id_ = image["ImageId"]
            command = search.cli("ec2", "deregister-image", "--image-id", id_)
            # Its snapshots cost, and are found on their own; EC2 deletes none that an image has.
            name = image.get("Name", "")
            yield search.leak("image", id_, tags_of(image.get("Tags")), FREE, command, name=name)


def _snapshots(search: RegionSearch) -> Iterator[Leak]:
    unit = search.prices.services.snapshot_gb_month
    pages = search.ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=search.filters)
    for page in pages:
        for snapshot in page["Snapshots"]:
            id_ = snapshot["SnapshotId"]
            # Upper bound: only written blocks are stored and billed.
            usd = None if unit is None else unit * snapshot["VolumeSize"]
            command = search.cli("ec2", "delete-snapshot", "--snapshot-id", id_)
            yield search.leak("snapshot", id_, tags_of(snapshot.get("Tags")), usd, command)


def _key_pairs(search: RegionSearch) -> Iterator[Leak]:
    for pair in search.ec2.describe_key_pairs(Filters=search.filters)["KeyPairs"]:
        id_, name = pair["KeyPairId"], pair["KeyName"]
        command = search.cli("ec2", "delete-key-pair", "--key-name", name)
        yield search.leak("key pair", id_, tags_of(pair.get("Tags")), FREE, command, name=name)


FINDERS: Final[dict[str, Finder]] = {
    "Auto Scaling group": _groups,
    "spot request": _spot_requests,
    "instance": _instances,
    "launch template": _launch_templates,
    "volume": _volumes,
    "image": _images,
    "snapshot": _snapshots,
    "key pair": _key_pairs,
}
