"""Images of workers on AWS: creation, progress, list and removal. Found by the stack's tags."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from bootstrap.errors import StackError
from bootstrap.images.donor import Donor

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, ImageTypeDef, TagTypeDef

PROJECT_TAG, PROJECT, STACK_TAG = "Project", "caffe-spark", "Stack"
"""As in `infra.tags`."""
FRAMEWORK, SPARK, BASE = "Framework", "Spark", "BaseImage"
"""Tags of a baked image: key of its framework, version of Spark, id of the image below it."""
NVIDIA: Final = "nvidia"
POLL: Final = 15.0
MAKING_S: Final = 3600.0
"""Seconds for the first snapshot of a worker's disk, which copies every block that was written."""
MAX_STACK: Final = 48
"""Characters of a stack's name in an image's name, which has 128 at most."""

Say = Callable[[str], object]


@dataclass(frozen=True)
class Image:
    """A baked image of the stack, with its snapshots and their size in GB."""

    id: str
    name: str
    state: str
    snapshots: tuple[str, ...]
    gb: int
    framework: str = ""

    def __str__(self) -> str:
        return f"{self.id} ({self.name}, {self.gb} GB)"


def name_of(stack: str, distribution: str, now: datetime, *, nvidia: bool) -> str:
    """Return an image's name; `fab preflight` reads the distribution and the driver in it."""
    driver = f"-{NVIDIA}" if nvidia else ""
    return f"caffe-spark-worker-{distribution}{driver}-{stack[:MAX_STACK]}-{now:%Y%m%d-%H%M%S}"


def create(ec2: EC2Client, donor: Donor, stack: str, spark: str) -> str:
    """Begin an image of a worker, which is shut down and booted again for it; return the image's id.

    Without the reboot EC2 copies a file system that is in use, and does not promise that it is whole: AWS's
    description of CreateImage and `NoReboot`, as clients made of it have it (read on 2026-11-30 in amazonka).

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    with aws.translate_errors(f"creating an image of {donor.instance}"):
        described = ec2.describe_instances(InstanceIds=[donor.instance])
        instance = described["Reservations"][0]["Instances"][0]
        name = name_of(stack, donor.found.distribution, datetime.now(timezone.utc), nvidia=donor.found.nvidia)
        # Those of the stack and of the company, which the group has given to its instances.
        own = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        tags = {key: value for key, value in own.items() if not key.startswith("aws:")}
        tags |= {PROJECT_TAG: PROJECT, STACK_TAG: stack, "Name": name, "Role": "worker"}
        tags["ManagedBy"] = "fab"  # not Pulumi, which neither updates nor destroys it
        tags |= {FRAMEWORK: donor.found.framework, SPARK: spark, BASE: instance["ImageId"]}
        listed: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
        made = ec2.create_image(
            InstanceId=donor.instance,
            Name=name,
            Description=f"caffe-spark: worker of stack {stack}, framework {donor.found.framework}",
            NoReboot=False,
            TagSpecifications=[
                {"ResourceType": "image", "Tags": listed},
                {"ResourceType": "snapshot", "Tags": listed},
            ],
        )
    return made["ImageId"]


def wait(ec2: EC2Client, image: str, stack: str, say: Say) -> Image:
    """Return an image once it can be launched; its snapshots' progress is said.

    Raises:
        StackError: AWS could not make it, or not within MAKING_S.
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    deadline, said = time.monotonic() + MAKING_S, ""
    while True:
        with aws.translate_errors(f"looking at image {image}"):
            found = ec2.describe_images(ImageIds=[image])["Images"]
            one = _image(found[0]) if found else None
            progress = _progress(ec2, one) if one and one.state == "pending" else ""
        if one and one.state == "available":
            return one
        if one and one.state == "pending" and time.monotonic() <= deadline:
            line = f"{image} pending{progress}"
            if line != said:
                say(line)
                said = line
            time.sleep(POLL)
            continue
        reason = found[0].get("StateReason", {}).get("Message", "") if found else ""
        raise StackError(
            f"image {image} of stack {stack!r}",
            f"it is {one.state if one else 'gone'}" + (f": {reason}" if reason else ""),
            f"Run `fab bake-image --remove --stack {stack}`, then `fab bake-image --stack {stack}` again.",
        )


def listed(ec2: EC2Client, stack: str) -> list[Image]:
    """Return the stack's baked images, oldest first.

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    with aws.translate_errors("listing the stack's images"):
        found = ec2.describe_images(Owners=["self"], Filters=_filters(stack))["Images"]
    return [_image(one) for one in sorted(found, key=lambda one: one.get("CreationDate", ""))]


def used(ec2: EC2Client, stack: str) -> set[str]:
    """Return the images that the stack's launch templates name: new workers need them.

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    with aws.translate_errors("reading the stack's launch templates"):
        pages = ec2.get_paginator("describe_launch_templates").paginate(Filters=_filters(stack))
        templates = [one["LaunchTemplateId"] for page in pages for one in page["LaunchTemplates"]]
        return {
            version["LaunchTemplateData"].get("ImageId", "")
            for template in templates
            for version in ec2.describe_launch_template_versions(
                LaunchTemplateId=template, Versions=["$Default", "$Latest"]
            )["LaunchTemplateVersions"]
        }


def remove(ec2: EC2Client, image: Image) -> None:
    """Remove an image with its snapshots, which cost money, and which EC2 keeps while an image has them.

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    with aws.translate_errors(f"removing image {image.id}"):
        ec2.deregister_image(ImageId=image.id)
        for snapshot in image.snapshots:
            ec2.delete_snapshot(SnapshotId=snapshot)


def removable(images: Iterable[Image], kept: Mapping[str, str]) -> tuple[list[Image], list[str]]:
    """Return the images to remove, and a line for each that is kept; `kept`: image → reason. Pure."""
    all_ = list(images)
    lines = [f"keeps    {one}: {kept[one.id]}" for one in all_ if one.id in kept]
    return [one for one in all_ if one.id not in kept], lines


def _filters(stack: str) -> list[FilterTypeDef]:
    return [
        {"Name": f"tag:{PROJECT_TAG}", "Values": [PROJECT]},
        {"Name": f"tag:{STACK_TAG}", "Values": [stack]},
    ]


def _image(one: ImageTypeDef) -> Image:
    disks = [disk["Ebs"] for disk in one.get("BlockDeviceMappings", []) if "Ebs" in disk]
    tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])}
    return Image(
        id=one["ImageId"],
        name=one.get("Name", ""),
        state=str(one.get("State", "")),
        snapshots=tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId")),
        gb=sum(int(disk.get("VolumeSize", 0)) for disk in disks),
        framework=tags.get(FRAMEWORK, ""),
    )


def _progress(ec2: EC2Client, image: Image) -> str:
    if not image.snapshots:
        return ""
    found = ec2.describe_snapshots(SnapshotIds=list(image.snapshots))["Snapshots"]
    return ", " + ", ".join(f"{one['SnapshotId']} {one.get('Progress') or '0%'}" for one in found)
