"""Current prices from AWS, for the operator's price file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bootstrap.clouds import aws
from infra.aws.cost.prices import BOOK
from infra.aws.settings.config import AwsConfig
from infra.cost.price_table import Answers

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_pricing import PricingClient

PRICING_REGION: Final = "us-east-1"
"""The price list is served in few regions, each of which covers all regions.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html"""
LINUX: Final = "Linux/UNIX"


@dataclass(frozen=True)
class Product:
    """A service's price in the list: the query, and the usage type among its results.

    Usage types begin with a region's abbreviation, such as `EU-`, except in us-east-1.
    """

    service: str
    usage: str
    filters: Mapping[str, str]


PRODUCTS: Final = {
    "gp3_gb_month": Product("AmazonEC2", "EBS:VolumeUsage.gp3", {"volumeApiName": "gp3"}),
    "snapshot_gb_month": Product("AmazonEC2", "EBS:SnapshotUsage", {"productFamily": "Storage Snapshot"}),
    "nat_hour": Product("AmazonEC2", "NatGateway-Hours", {"productFamily": "NAT Gateway"}),
    "nat_gb": Product("AmazonEC2", "NatGateway-Bytes", {"productFamily": "NAT Gateway"}),
    "endpoint_hour": Product("AmazonVPC", "VpcEndpoint-Hours", {"productFamily": "VpcEndpoint"}),
    "endpoint_gb": Product("AmazonVPC", "VpcEndpoint-Bytes", {"productFamily": "VpcEndpoint"}),
    "ipv4_hour": Product("AmazonVPC", "PublicIPv4:InUseAddress", {}),
    "s3_gb_month": Product("AmazonS3", "TimedStorage-ByteHrs", {"volumeType": "Standard"}),
    "logs_gb": Product("AmazonCloudWatch", "DataProcessing-Bytes", {}),
    "logs_gb_month": Product("AmazonCloudWatch", "TimedStorage-ByteHrs", {}),
}
"""Key of `prices.Services` → product. Written from documentation, never run against the live list: a price
that is not found keeps the project's figure, and the file says so."""


def refresh(config: AwsConfig) -> Path:
    """Query the prices of what the stack uses in its region, and write them to the operator's file.

    Entries for other regions and types are kept. The first lines of the file list what AWS did not answer.

    Raises:
        ConfigError: credentials are missing or lack permission; or the existing file is not valid.
        ServiceDown: AWS cannot be reached, or returned no price at all.
    """
    document = BOOK.current()
    names = list(dict.fromkeys([config.head_type, *config.instance_types]))
    session = aws.session()
    with aws.translate_errors("asking for spot prices"):
        ec2 = session.client("ec2", region_name=config.region, config=aws.RETRY)
        spot = spot_prices(ec2, names)
    with aws.translate_errors("asking for list prices"):
        pricing = session.client("pricing", region_name=PRICING_REGION, config=aws.RETRY)
        types = {name: _machine(pricing, config.region, name) for name in names}
        services = {key: _service(pricing, config.region, product) for key, product in PRODUCTS.items()}
    found = {
        "services": {**{key: float(usd) for key, usd in services.items() if usd}, "source": "aws"},
        "types": {name: _entry(usd, spot.get(name)) for name, usd in types.items() if usd},
    }
    return BOOK.write(document, config.region, found, Answers.of("AWS", types, services))


def spot_prices(ec2: EC2Client, names: Iterable[str]) -> dict[str, tuple[Decimal, Decimal]]:
    """Return type → the lowest and highest current price among the zones."""
    asked = ec2.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=[*names],  # type: ignore[list-item]  # the stubs list every type that there was
        ProductDescriptions=[LINUX],
        StartTime=datetime.now(timezone.utc),
    )
    found: dict[str, list[Decimal]] = {}
    for page in asked:
        for one in page["SpotPriceHistory"]:
            found.setdefault(one["InstanceType"], []).append(Decimal(one["SpotPrice"]))
    return {name: (min(some), max(some)) for name, some in found.items()}


def _machine(pricing: PricingClient, region: str, name: str) -> Decimal | None:
    wanted = {
        "instanceType": name,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }
    return next((usd for _, usd in _prices(pricing, "AmazonEC2", region, wanted)), None)


def _service(pricing: PricingClient, region: str, product: Product) -> Decimal | None:
    pattern = re.compile(rf"(?:[A-Z]{{2,4}}\d?-)?{re.escape(product.usage)}")
    found = _prices(pricing, product.service, region, product.filters)
    return next((usd for usage, usd in found if pattern.fullmatch(usage)), None)


def _prices(
    pricing: PricingClient, service: str, region: str, wanted: Mapping[str, str]
) -> Iterator[tuple[str, Decimal]]:
    """Yield (usage type, USD for a unit of the first tier that costs something) of each matching product."""
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode=service,
        Filters=[
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in {"regionCode": region, **wanted}.items()
        ],
    )
    for page in pages:
        for text in page["PriceList"]:
            product = json.loads(text)
            usd = first_tier(product)
            if usd is not None:
                yield str(product["product"]["attributes"].get("usagetype", "")), usd


def first_tier(product: Mapping[str, Any]) -> Decimal | None:
    """Return USD for a unit at the lowest tier that has a price; `product` is as in `GetProducts`."""
    tiers = [
        (Decimal(dimension.get("beginRange", "0")), Decimal(dimension["pricePerUnit"]["USD"]))
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if "USD" in dimension["pricePerUnit"]
    ]
    return next((usd for _, usd in sorted(tiers) if usd > 0), None)


def _entry(on_demand: Decimal, spot: tuple[Decimal, Decimal] | None) -> dict[str, Any]:
    known = {"spot": [float(usd) for usd in spot]} if spot else {}
    return {"on_demand": float(on_demand), **known, "source": "aws"}
