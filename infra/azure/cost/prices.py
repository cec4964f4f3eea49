"""Prices on Azure: the project's dated table, overridden by the operator's file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import Field

from infra.azure.settings import sizes
from infra.cost import price_table
from infra.cost.price_table import OVERRIDE, Part, PriceTable, RegionTable, Usd

TABLE: Final = Path(__file__).with_name("prices.yaml")
VARIABLE: Final = "CAFFE_SPARK_AZURE_PRICES"


class SizePrice(Part):
    """Hourly price of a node of that size in USD, including HDInsight's surcharge."""

    hour: Usd
    source: str


class Services(Part):
    """Other prices in USD: per hour, per GB transferred or written, per GB and month."""

    nat_hour: Usd | None = None
    nat_gb: Usd | None = None
    ipv4_hour: Usd | None = None
    endpoint_hour: Usd | None = None
    """Of a private endpoint."""
    endpoint_gb: Usd | None = None
    blob_gb_month: Usd | None = None
    logs_gb: Usd | None = None
    source: str = OVERRIDE


class RegionPrices(RegionTable):
    """Prices in a region."""

    services: Services = Services()
    sizes: dict[str, SizePrice] = Field(default_factory=dict)

    def node(self, size: str) -> Decimal | None:
        """Return USD for an hour of a node, or None if it is not known."""
        price = self.sizes.get(size)
        return None if price is None else price.hour


class Prices(PriceTable):
    """The whole table."""

    regions: dict[str, RegionPrices]

    def of(self, region: str) -> RegionPrices:
        """Return a region's prices; an empty table if none are known."""
        return self.regions.get(region, RegionPrices())


def _check_names(prices: Prices, path: Path) -> None:
    known = sizes.table()
    price_table.refuse_unknown(f"{path}: regions", prices.regions, known.regions, "region")
    for region, entry in prices.regions.items():
        # A file may be older than the retirement of a size, and a cluster of that size may still be there.
        names = [name for name in entry.sizes if not known.retired_as(name)]
        price_table.refuse_unknown(f"{path}: regions.{region}.sizes", names, known.sizes, "size")


BOOK: Final = price_table.PriceBook(
    model=Prices,
    table=TABLE,
    variable=VARIABLE,
    name="azure-prices.yaml",
    keys={
        1: "regions, sources",
        3: ", ".join(RegionPrices.model_fields),
        4: ", ".join(Services.model_fields),
        5: ", ".join(SizePrice.model_fields),
    },
    check=_check_names,
)

load: Final = BOOK.load
