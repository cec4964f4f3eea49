"""Prices on AWS: the project's dated table, overridden by the operator's file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from infra.aws.settings import regions
from infra.cost import price_table
from infra.cost.price_table import OVERRIDE, Part, PriceTable, RegionTable, Usd

TABLE: Final = Path(__file__).with_name("prices.yaml")
VARIABLE: Final = "CAFFE_SPARK_PRICES"


def _in_order(spot: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    if spot[0] > spot[1]:
        raise ValueError("the lowest price must come first")
    return spot


class TypePrice(Part):
    """Hourly price of an instance type in USD; `spot` is the lowest and the highest among the zones."""

    on_demand: Usd
    spot: Annotated[tuple[Usd, Usd], AfterValidator(_in_order)] | None = None
    source: str


class Services(Part):
    """Other prices in USD: per GB and month, per hour, per GB transferred. None is not known."""

    gp3_gb_month: Usd | None = None
    snapshot_gb_month: Usd | None = None
    nat_hour: Usd | None = None
    nat_gb: Usd | None = None
    endpoint_hour: Usd | None = None
    """Of an interface endpoint, in each of its zones."""
    endpoint_gb: Usd | None = None
    ipv4_hour: Usd | None = None
    """Of a public address, in use or not."""
    s3_gb_month: Usd | None = None
    logs_gb: Usd | None = None
    """Sent to CloudWatch Logs, standard class."""
    logs_gb_month: Usd | None = None
    source: str = OVERRIDE


class RegionPrices(RegionTable):
    """Prices in a region."""

    services: Services = Services()
    types: dict[str, TypePrice] = Field(default_factory=dict)


class Prices(PriceTable):
    """The whole table."""

    regions: dict[str, RegionPrices]

    def of(self, region: str) -> RegionPrices:
        """Return a region's prices; an empty table if none are known."""
        return self.regions.get(region, RegionPrices())


def _check_names(prices: Prices, path: Path) -> None:
    known = regions.table()
    price_table.refuse_unknown(f"{path}: regions", prices.regions, known.regions, "region")
    for region, entry in prices.regions.items():
        price_table.refuse_unknown(f"{path}: regions.{region}.types", entry.types, known.types, "type")


BOOK: Final = price_table.PriceBook(
    model=Prices,
    table=TABLE,
    variable=VARIABLE,
    name="prices.yaml",
    keys={
        1: "regions, sources",
        3: ", ".join(RegionPrices.model_fields),
        4: ", ".join(Services.model_fields),
        5: ", ".join(TypePrice.model_fields),
    },
    check=_check_names,
)

load: Final = BOOK.load
