"""Regions in which a stack's types could run: zones, price and, with credentials, spot prices and quotas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from bootstrap.console import print_line, print_whole
from bootstrap.errors import CaffeSparkError
from infra.aws.cost import prices
from infra.aws.settings import regions

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from rich.console import Console

    from infra.aws.settings.config import AwsConfig
    from infra.aws.settings.regions import InstanceType

SIDE_BY_SIDE: Final = 12
"""Number of regions that are asked at once; each mostly waits for AWS."""
UNKNOWN: Final = "?"


@dataclass(frozen=True)
class Now:
    """Answers of AWS about a region; `failed` says why there are none."""

    spot: Mapping[str, Decimal] = field(default_factory=dict)
    """Type → lowest current price in USD an hour."""
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Name of a quota → vCPUs granted."""
    failed: str = ""


def offers(config: AwsConfig, stack: str, *, root: Path, console: Console) -> None:
    """Print the regions that offer any of the stack's types, those that offer most of them first.

    Prices are the table's; where AWS answers, the spot prices of now, and the granted quotas.

    Raises:
        ConfigError: the operator's price file is not valid.
    """
    table, known = regions.table(), prices.load()
    found = places(config)
    answers, why = _asked(config, [region.name for region in found])
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("REGION", "TYPES", "ZONES", "USD/H ON DEMAND", "USD/H SPOT", "VCPUS GRANTED", ""):
        shown.add_column(title)
    for region in found:
        types = [kind for kind in config.types if region.offerings.get(kind.name)]
        listed, now = known.of(region.name), answers.get(region.name, Now())
        spots = {name: price.spot[0] for name, price in listed.types.items() if price.spot is not None}
        shown.add_row(
            region.name,
            ", ".join(kind.name for kind in types),
            _letters(region, types),
            _least({name: price.on_demand for name, price in listed.types.items()}, types),
            _least(now.spot or spots, types) if config.spot else "",
            "; ".join(f"{name}: {value}" for name, value in now.quotas.items()) or UNKNOWN,
            now.failed or ("this stack" if region.name == config.region else ""),
        )
    print_whole(shown, console)
    spot = "on spot those of now, where AWS answered" if answers else f"none was asked of AWS: {why}"
    lines = [
        f"{len(found)} of {len(table.regions)} regions offer a type of {stack}'s instanceTypes, by the table "
        f"of {table.date}; of {', '.join(table.unsettled)} nothing is known.",
        f"Prices are the lowest of these types', by tables with dates of their own; {spot}.",
        f"{UNKNOWN} is not known. Another region is a copy of Pulumi.{stack}.yaml with another `region`.",
    ]
    for line in lines:
        print_line(console, line)


def places(config: AwsConfig) -> list[regions.Region]:
    """Return the regions that offer any of the types, those with most of them first, then by name. Pure."""

    def number(region: regions.Region) -> int:
        return sum(name in region.offerings for name in config.instance_types)

    some = [region for region in regions.table().regions.values() if number(region)]
    return sorted(some, key=lambda region: (-number(region), region.name))


def _letters(region: regions.Region, types: Sequence[InstanceType]) -> str:
    """Return the letters of the zones that offer any of the types."""
    where = [zone for zone in region.zones if any(region.offered(kind.name, [zone]) for kind in types)]
    return "".join(zone[len(region.name) :] for zone in where)


def _least(known: Mapping[str, Decimal], types: Sequence[InstanceType]) -> str:
    """Return the least of the types' known prices, and of which type it is."""
    some = sorted((known[kind.name], kind.name) for kind in types if kind.name in known)
    return f"{some[0][0]} ({some[0][1]})" if some else UNKNOWN


def _asked(config: AwsConfig, names: Sequence[str]) -> tuple[dict[str, Now], str]:
    """Return AWS's answers by region; none, and why, without valid credentials or a connection."""
    # the SDK takes a second to import
    from bootstrap.clouds import aws
    from infra.aws.preflight.cloud import HOME

    try:
        session = aws.session()
        if session.get_credentials() is None:
            return {}, "no credentials"
        with aws.translate_errors("asking who we are"):
            session.client("sts", region_name=HOME, config=aws.FAIL_FAST).get_caller_identity()
        with aws.translate_errors("listing regions"):
            listed = session.client("ec2", region_name=HOME, config=aws.FAIL_FAST).describe_regions(
                AllRegions=True
            )["Regions"]
    except CaffeSparkError as error:
        return {}, error.why
    off = {one["RegionName"] for one in listed if one.get("OptInStatus") == "not-opted-in"}
    asked = [name for name in names if name not in off]
    # Sessions are not thread-safe; clients are.
    clients = [_Clients.of(session, name) for name in asked]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = dict(zip(asked, pool.map(lambda one: one.ask(config), clients), strict=True))
    disabled = {name: Now(failed="not enabled in this account") for name in names if name in off}
    return {**answers, **disabled}, ""


@dataclass(frozen=True)
class _Clients:
    """Clients for a region."""

    region: str
    ec2: EC2Client
    quotas: ServiceQuotasClient

    @classmethod
    def of(cls, session: Session, region: str) -> _Clients:
        from bootstrap.clouds import aws

        return cls(
            region,
            session.client("ec2", region_name=region, config=aws.FAIL_FAST),
            session.client("service-quotas", region_name=region, config=aws.FAIL_FAST),
        )

    def ask(self, config: AwsConfig) -> Now:
        """Ask for spot prices and quotas; what AWS refuses is left out, and why is said."""
        from bootstrap.clouds import aws
        from infra.aws.cost.price_list import spot_prices
        from infra.aws.preflight.quota import granted, quota_of

        offered = regions.table().regions[self.region].offerings
        types = [kind for kind in config.types if kind.name in offered]
        spot: dict[str, Decimal] = {}
        quotas: dict[str, int] = {}
        failed = []
        try:
            if config.spot:
                with aws.translate_errors("asking for spot prices"):
                    found = spot_prices(self.ec2, [kind.name for kind in types])
                spot = {name: low for name, (low, _) in found.items()}
        except CaffeSparkError as error:
            failed.append(error.why)
        try:
            for quota in dict.fromkeys(quota_of(kind, spot=config.spot) for kind in types):
                quotas[quota.name] = granted(self.quotas, quota)
        except CaffeSparkError as error:
            failed.append(error.why)
        return Now(spot, quotas, "; ".join(dict.fromkeys(failed)))
