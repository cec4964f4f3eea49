"""Checks that the machine images exist in the region and match the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.aws.machine import ROOT_DEVICES
from infra.aws.preflight.cloud import Cloud
from infra.aws.settings.machine_types import ARCH
from infra.preflight.finding import CloudCheck, Finding, failure

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig, Role

NAME: Final = "images"
KEYS: Final[dict[Role, str]] = {"head": "headAmi", "worker": "workerAmi"}
"""As in `infra.aws.images`, whose import takes a second because of Pulumi."""
_WORDS: Final[dict[Role, str]] = {"head": "the head", "worker": "workers"}
_OTHER: Final[dict[Role, Role]] = {"head": "worker", "worker": "head"}
BASE, SPARK, FRAMEWORK = "BaseImage", "Spark", "Framework"
"""Tags of baked images, as in `bootstrap.images.image`."""
NOT_HERE: Final = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed")

# Name patterns: Canonical's `ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-…`, the Deep Learning
# images' `… GPU AMI (Ubuntu 22.04) …`, Debian's `debian-12-amd64-…`.
_UBUNTU: Final = re.compile(r"ubuntu[ -](?:[a-z]+-)?(\d\d\.\d\d)", re.IGNORECASE)
_DEBIAN: Final = re.compile(r"debian[ -](\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """An image as in DescribeImages."""

    id: str
    pinned: bool
    name: str
    arch: str
    state: str
    root_device: str
    disk_gb: int
    base: str = ""
    """Image that it was baked from, by `fab bake-image`; empty for one of a distributor."""
    spark: str = ""
    framework: str = ""
    """Version of Spark and key of the framework that a baked image has."""

    @property
    def distribution(self) -> str:
        """Distribution as the stack calls it, e.g. `ubuntu-22.04`; empty if the image's name does not
        tell."""
        ubuntu, debian = _UBUNTU.search(self.name), _DEBIAN.search(self.name)
        if ubuntu:
            return f"ubuntu-{ubuntu[1]}"
        return f"debian-{debian[1]}" if debian else ""

    def __str__(self) -> str:
        return f"{self.id} ({self.name or 'nameless'})"


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return one check of both images, which must be of the same distribution."""
    return [CloudCheck(NAME, lambda cloud: look(cloud, config, stack))]


def look(cloud: Cloud, config: AwsConfig, stack: str) -> list[Finding]:
    """Return a finding for each role's image."""
    found: dict[Role, Image] = {}
    findings: dict[Role, Finding] = {}
    for role in KEYS:
        try:
            found[role] = _find(cloud, config, role, stack)
        except CaffeSparkError as error:
            findings[role] = failure(title(role), error)
    for role, image in found.items():
        findings[role] = _judge(role, image, found.get(_OTHER[role]), config, stack)
    return [findings[role] for role in KEYS]


def title(role: Role) -> str:
    """Return the name of a role's finding."""
    return f"image of {_WORDS[role]}"


def _find(cloud: Cloud, config: AwsConfig, role: Role, stack: str) -> Image:
    """Return the role's image.

    Raises:
        ConfigError: the region has no such image or parameter, or a permission is missing.
        ServiceDown: AWS does not answer.
    """
    pinned = config.head_ami if role == "head" else config.worker_ami
    image = pinned or _newest(cloud, config.ami_parameter(role), role, stack)
    missing = ConfigError(
        image,
        f"{image} is not in {cloud.region}; image ids differ between regions",
        f"Run `pulumi config rm {KEYS[role]} --stack {stack}`: the next `pulumi up` uses the newest one.",
    )
    with aws.translate_errors(f"looking for image {image}"):
        try:
            answer = cloud.ec2.describe_images(ImageIds=[image])["Images"]
        except ClientError as error:
            if aws.code_of(error) in NOT_HERE:
                raise missing from error
            raise
    if not answer:
        raise missing
    one = answer[0]
    root = one.get("RootDeviceName", "")
    disks = {disk.get("DeviceName"): disk.get("Ebs", {}) for disk in one.get("BlockDeviceMappings", [])}
    tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])}
    return Image(
        id=image,
        pinned=bool(pinned),
        name=one.get("Name", ""),
        arch=one.get("Architecture", ""),
        state=one.get("State", ""),
        root_device=root,
        disk_gb=int(disks.get(root, {}).get("VolumeSize") or 0),
        base=tags.get(BASE, ""),
        spark=tags.get(SPARK, ""),
        framework=tags.get(FRAMEWORK, ""),
    )


def _newest(cloud: Cloud, parameter: str, role: Role, stack: str) -> str:
    with aws.translate_errors(f"reading {parameter}"):
        try:
            return cloud.ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
        except ClientError as error:
            if aws.code_of(error) != "ParameterNotFound":
                raise
            raise ConfigError(
                parameter,
                f"{cloud.region} has no parameter {parameter}, which has the newest image",
                f"Name one: `pulumi config set {KEYS[role]} ami-… --stack {stack}`.",
            ) from error


def _judge(role: Role, image: Image, other: Image | None, config: AwsConfig, stack: str) -> Finding:
    """Return the finding of an image that exists. Pure."""
    wrong = next(_wrong(role, image, other, config, stack), None)
    if wrong:
        return Finding(title(role), "failed", *wrong)
    if image.base:
        return _baked(role, image, config, stack)
    unsaid = []
    if not image.distribution:
        unsaid.append(f"is {config.distribution}")
    if role == "worker" and config.gpus and "nvidia" not in image.name.lower():
        unsaid.append("has NVIDIA's driver")
    if unsaid:
        detail = f"{image}: its name does not say that it {' and '.join(unsaid)}; check that it does"
        return Finding(title(role), "note", detail)
    return Finding(title(role), "passed", f"{image}{', pinned' if image.pinned else ', the newest'}")


def _baked(role: Role, image: Image, config: AwsConfig, stack: str) -> Finding:
    """Return the finding of a baked image: what it lacks is installed as a worker joins, and takes time."""
    detail = f"{image}, baked from {image.base} with Spark {image.spark} and framework {image.framework}"
    if role == "head":
        return Finding(title(role), "note", f"{detail}: an image of a worker, of which a head needs little")
    if config.gpus and "nvidia" not in image.name:
        again = f"run `pulumi config rm workerAmi --stack {stack}` and bake another one"
        return Finding(title(role), "note", f"{detail}: made of a worker without NVIDIA's driver; {again}")
    if image.spark != config.spark:
        again = f"`fab bake-image --stack {stack}` makes another one"
        return Finding(
            title(role), "note", f"{detail}; workers fetch Spark {config.spark} as they join: {again}"
        )
    return Finding(title(role), "passed", f"{detail}; another framework is fetched as a worker joins")


def _wrong(
    role: Role, image: Image, other: Image | None, config: AwsConfig, stack: str
) -> Iterator[tuple[str, str]]:
    """Yield each problem of the image with its fix."""
    fix = (
        f"Run `pulumi config rm {KEYS[role]} --stack {stack}`: the next `pulumi up` uses the newest one."
        if image.pinned
        else f"Name another: `pulumi config set {KEYS[role]} ami-… --stack {stack}`."
    )
    wanted, root = config.distribution, ROOT_DEVICES[config.distribution]
    if image.state != "available":
        yield f"{image} is {image.state or 'not available'}", fix
    if image.arch != ARCH:
        yield f"{image} is {image.arch}, and head and workers are {ARCH}", fix
    if image.distribution not in ("", wanted):
        beside = (
            f", and that of {_WORDS[_OTHER[role]]} is {other.distribution}: {other}"
            if other and other.distribution
            else ""
        )
        yield f"{image} is {image.distribution}; distribution is {wanted}{beside}", fix
    if image.root_device != root:
        yield f"{image} boots from {image.root_device}, and images of {wanted} boot from {root}", fix
    setting, volume = (
        ("headVolumeGb", config.head_volume_gb)
        if role == "head"
        else ("workerVolumeGb", config.worker_volume_gb)
    )
    if image.disk_gb > volume:
        yield (
            f"{image} has {image.disk_gb} GB on its disk, and {setting} is {volume}",
            f"Run `pulumi config set {setting} {image.disk_gb} --stack {stack}`.",
        )
