"""The settings `reservation` and `capacityBlock` of a stack on AWS, and their rules. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator

from infra.aws.settings.machine_types import only
from infra.settings.commands import rm_command, set_command
from infra.settings.fields import Unset
from infra.settings.refusal import Refusal, listed
from infra.settings.section import Hint

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

RESERVATION: Final = re.compile(r"cr-([0-9a-f]{8}|[0-9a-f]{17})")
GROUP: Final = re.compile(
    r"arn:aws:resource-groups:(?P<region>[a-z0-9-]+):\d{12}:group/[A-Za-z0-9._-]{1,300}"
)
"""ARN of a resource group of reservations."""
VALID: Final = "cr- and 17 hexadecimal digits, or the ARN of a resource group of reservations"


def _reservation(name: str | None) -> str | None:
    if name is None or RESERVATION.fullmatch(name) or GROUP.fullmatch(name):
        return name
    if name.startswith("cb-"):
        raise ValueError("it is a capacity block's own id; machines name the reservation that belongs to it")
    raise ValueError("it is neither the id of a capacity reservation nor the ARN of a resource group")


Reservation = Annotated[str | None, Unset, AfterValidator(_reservation), Hint("cr-0123456789abcdef0", VALID)]


def check(config: AwsConfig) -> None:
    """Validate the reservation against the market, the types and the zones.

    Raises:
        Refusal: workers could not start in it.
    """
    name = config.reservation
    if name is None:
        if config.capacity_block:
            why = "reservation is missing, which says what block it is; valid: both, or neither"
            raise Refusal("capacityBlock", "true", why, set_command("reservation", "cr-0123456789abcdef0"))
        return
    if config.spot:
        why = "spot instances use no reservation; valid: onDemandPercentage 100 with it"
        raise Refusal("reservation", name, why, set_command("onDemandPercentage", 100))
    if len(config.instance_types) > 1:
        why = f"a reservation ({name}) is of one type; valid: one of {listed(config.instance_types)}"
        raise Refusal(
            "instanceTypes",
            listed(config.instance_types),
            why,
            only(config, "instanceTypes", config.instance_types[0]),
        )
    found = GROUP.fullmatch(name)
    if found:
        _group(config, name, found["region"])
    elif config.vpc is None and len(config.zones) > 1:
        why = f"a reservation ({name}) is in one zone, and launches elsewhere would fail; valid: its zone"
        raise Refusal("zones", listed(config.zones), why, only(config, "zones", config.zones[0]))
    if config.capacity_block and not config.types[0].family.startswith("p"):
        kind = config.instance_types[0]
        why = f"AWS has no capacity blocks of {kind} (instanceTypes); valid: types of p4d to p5en"
        raise Refusal("capacityBlock", "true", why, rm_command("capacityBlock"))


def _group(config: AwsConfig, name: str, region: str) -> None:
    if region != config.region:
        why = f"it is in {region}, and the stack in {config.region}; valid: a group of {config.region}"
        raise Refusal("reservation", name, why, rm_command("reservation"))
    if config.capacity_block:
        why = "the reservation is a resource group's ARN; valid: the id of the block's reservation (cr-…)"
        raise Refusal("capacityBlock", "true", why, set_command("reservation", "cr-0123456789abcdef0"))
