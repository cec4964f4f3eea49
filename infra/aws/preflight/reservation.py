"""Check of the capacity reservation that the workers start in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from infra.aws.existing.network import worker_zones
from infra.aws.preflight.cloud import Cloud
from infra.aws.settings.reservation import RESERVATION
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

NAME: Final = "reservation"
UNKNOWN: Final = ("InvalidCapacityReservationId.NotFound", "InvalidCapacityReservationId.Malformed")
BLOCK: Final = "capacity-block"
COMING: Final = ("scheduled", "pending", "payment-pending", "assessing", "delayed")
"""States of a reservation that machines cannot use yet:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CapacityReservation.html"""


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check; none without a reservation."""
    return [CloudCheck(NAME, lambda cloud: [_look(cloud, config, stack)])] if config.reservation else []


def _look(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    name = str(config.reservation)
    if not RESERVATION.fullmatch(name):
        return Finding(NAME, "note", f"{name}: the reservations of the group were not looked at")
    with aws.translate_errors(f"looking at the reservation {name}"):
        try:
            found = cloud.ec2.describe_capacity_reservations(CapacityReservationIds=[name])
        except ClientError as error:
            if aws.code_of(error) not in UNKNOWN:
                raise
            found = {"CapacityReservations": []}  # type: ignore[typeddict-item]
    if not found["CapacityReservations"]:
        return Finding(
            NAME,
            "failed",
            f"{cloud.region} has no capacity reservation {name} for this account",
            f"Run `pulumi config set reservation ID --stack {stack}`; `aws ec2 "
            f"describe-capacity-reservations --region {cloud.region}` lists them.",
        )
    return judge(found["CapacityReservations"][0], worker_zones(cloud.ec2, config), config, stack)


def judge(
    found: Any,  # noqa: ANN401 - as boto3 answers
    zones: Sequence[str],
    config: AwsConfig,
    stack: str,
) -> Finding:
    """Compare a reservation with the stack, whose workers are in these zones. Pure."""
    name, kind, zone = str(config.reservation), found["InstanceType"], found["AvailabilityZone"]
    total, free = found["TotalInstanceCount"], found["AvailableInstanceCount"]
    block = found.get("ReservationType", "default") == BLOCK
    what = f"{name}: {total} {kind} in {zone}{', a capacity block' if block else ''}{_dates(found)}"
    if (wrong := _fault(found, zones, config, block=block)) is not None:
        return Finding(NAME, "failed", f"{what}; {wrong[0]}", f"Run `{wrong[1]} --stack {stack}`.")
    state = found["State"]
    if state in COMING:
        return Finding(NAME, "note", f"{what}; it is {state}: workers start when it is active")
    if state != "active":
        fix = f"Run `pulumi config set reservation ID --stack {stack}` with another one."
        return Finding(NAME, "failed", f"{what}; it is {state}", fix)
    if config.max_workers > total:
        detail = f"{what}; maxWorkers is {config.max_workers}, and no more than {total} would start"
        return Finding(NAME, "note", detail, f"Run `pulumi config set maxWorkers {total} --stack {stack}`.")
    if found.get("PlacementGroupArn"):
        # Whether AWS starts a machine there that names no placement group is in no document that we read.
        detail = f"{what}; it is in {_placement(found)}, which the workers do not name: AWS may refuse them"
        return Finding(NAME, "note", detail, "Name a reservation that is in no placement group.")
    verdict: Literal["passed", "note"] = "passed" if free >= config.workers else "note"
    rest = (
        f"{free} free"
        if verdict == "passed"
        else f"{free} are free, unless this stack's workers are the others"
    )
    return Finding(NAME, verdict, f"{what}; {rest}")


def _fault(
    found: Any,  # noqa: ANN401 - as boto3 answers
    zones: Sequence[str],
    config: AwsConfig,
    *,
    block: bool,
) -> tuple[str, str] | None:
    """Return why no worker would start in it, and the command that changes the stack."""
    kind, zone, total = found["InstanceType"], found["AvailabilityZone"], found["TotalInstanceCount"]
    if kind != config.instance_types[0]:
        return f"the stack's type is {config.instance_types[0]}", (
            f"pulumi config set --path 'instanceTypes[0]' {kind}"
        )
    if list(zones) != [zone]:
        change = (
            f"--path 'subnets.workers[0]' SUBNET_IN_{zone}" if config.vpc else f"--path 'zones[0]' {zone}"
        )
        return f"the stack's workers are in {', '.join(zones)}", f"pulumi config set {change}"
    if block != config.capacity_block:
        said = "it is" if block else "it is not"
        return f"{said} a capacity block (capacityBlock: {_yes(config.capacity_block)})", (
            f"pulumi config set capacityBlock {_yes(block)}"
        )
    if total < config.workers:
        return f"workers is {config.workers}", f"pulumi config set workers {total}"
    if config.placement_group and found.get("PlacementGroupArn"):
        return (
            f"it is in {_placement(found)}, and this stack's workers start in a placement group of its own "
            "(placementGroup: true)"
        ), "pulumi config rm placementGroup"
    return None


def _placement(found: Any) -> str:  # noqa: ANN401 - as boto3 answers
    return f"placement group {str(found['PlacementGroupArn']).rpartition('/')[2]}"


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _dates(found: Any) -> str:  # noqa: ANN401 - as boto3 answers
    """Describe when the reservation begins and ends, where that is limited."""
    now = datetime.now(timezone.utc)
    start, end = found.get("StartDate"), found.get("EndDate")
    begins = f", from {start:%Y-%m-%d %H:%M} UTC" if start and start > now else ""
    return f"{begins}, until {end:%Y-%m-%d %H:%M} UTC" if end else begins
