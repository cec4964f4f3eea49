"""Current prices from Azure's public price list, for the operator's price file. No login is needed.

https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core import PipelineClient
from azure.core.exceptions import DecodeError, HttpResponseError
from azure.core.pipeline.policies import RetryPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

from bootstrap.clouds import azure
from bootstrap.errors import ServiceDown
from infra.azure.cost.prices import BOOK
from infra.azure.settings.config import AzureConfig
from infra.cost.price_table import Answers

URL: Final = "https://prices.azure.com/api/retail/prices"
PAGES: Final = 30
"""Maximum number of pages, of a hundred prices each; HDInsight has two in a region. More is an unexpected
list."""
GLOBAL: Final = "Global"
"""Region in the list of prices that are the same everywhere."""
HOUR: Final = "1 Hour"
WITHOUT: Final = "Run `fab cost` without --refresh."

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Meter:
    """A service's price in the list: the query, and the meter among its results."""

    service: str
    product: str
    meter: str
    unit: str


METERS: Final = {
    "nat_hour": Meter("NAT Gateway", "", "Standard Gateway", HOUR),
    "nat_gb": Meter("NAT Gateway", "", "Standard Data Processed", "1 GB"),
    "ipv4_hour": Meter("Virtual Network", "IP Addresses", "Standard IPv4 Static Public IP", HOUR),
    "endpoint_hour": Meter(
        "Virtual Network", "Virtual Network Private Link", "Standard Private Endpoint", HOUR
    ),
    "endpoint_gb": Meter(
        "Virtual Network", "Virtual Network Private Link", "Standard Data Processed - Ingress", "1 GB"
    ),
    "blob_gb_month": Meter("Storage", "General Block Blob v2", "Hot LRS Data Stored", "1 GB/Month"),
    "logs_gb": Meter("Log Analytics", "Log Analytics", "Analytics Logs Data Ingestion", "1 GB"),
}
"""Key of `prices.Services` → meter. Written from documentation, never run against the live list: a price that
is not found keeps the project's figure, and the file says so."""


def refresh(config: AzureConfig, *, url: str = URL) -> Path:
    """Query the prices of what the stack uses in its region, and write them to the operator's file.

    Entries for other regions and sizes are kept. The first lines of the file list what Azure did not answer.

    Raises:
        ConfigError: the existing file is not valid.
        ServiceDown: the list cannot be reached, or has no price at all.
    """
    document = BOOK.current()
    names = list(dict.fromkeys(one.size for one in config.machines))
    client: PipelineClient[Any, Any] = PipelineClient(
        url, policies=[UserAgentPolicy(**azure.RETRY), RetryPolicy(**azure.RETRY)], **azure.RETRY
    )
    with client, _translate_errors():
        nodes = list(_items(client, url, "HDInsight", config.region))
        listed = {
            (one.service, one.product): list(_items(client, url, one.service, "", one.product))
            for one in METERS.values()
        }
    sizes = {name: node_hour(nodes, name) for name in names}
    services = {
        key: price(listed[one.service, one.product], one, config.region) for key, one in METERS.items()
    }
    found = {
        "services": {**{key: float(usd) for key, usd in services.items() if usd}, "source": "azure"},
        "sizes": {name: {"hour": float(usd), "source": "azure"} for name, usd in sizes.items() if usd},
    }
    return BOOK.write(document, config.region, found, Answers.of("Azure", sizes, services))


def node_hour(items: Iterable[Item], size: str) -> Decimal | None:
    """Return the hourly price of an HDInsight node, including its surcharge, or None if not listed. Pure."""
    wanted = _plain(size)
    prices = [
        Decimal(str(item["retailPrice"]))
        for item in items
        if item.get("unitOfMeasure") == HOUR
        and wanted in _sizes(item)
        and not any(word in str(item.get("productName", "")) for word in ("Windows", "ID Broker"))
    ]
    # Of several prices, use the highest, so as not to promise too little.
    return max((usd for usd in prices if usd > 0), default=None)


def price(items: Iterable[Item], meter: Meter, region: str) -> Decimal | None:
    """Return USD for a unit at the lowest tier that costs something; the region's price precedes `Global`.
    Pure."""
    fitting = [
        item
        for item in items
        if item.get("meterName") == meter.meter and item.get("unitOfMeasure") == meter.unit
    ]
    for place in (region, GLOBAL):
        tiers = sorted(
            (Decimal(str(item.get("tierMinimumUnits", 0))), Decimal(str(item["retailPrice"])))
            for item in fitting
            if item.get("armRegionName") == place
        )
        found = next((usd for _, usd in tiers if usd > 0), None)
        if found is not None:
            return found
    return None


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate errors of the price list, whose requests involve neither a login nor a stack.

    Raises:
        ServiceDown: the list cannot be reached, or refuses to answer.
    """
    doing = "asking for list prices"
    with azure.translate_errors(doing, ""):
        try:
            yield
        except HttpResponseError as error:
            refused = error.status_code in (azure.UNAUTHORIZED, azure.FORBIDDEN, azure.NOT_FOUND)
            if not refused or azure.page_of(error) is not None:
                raise
            why = f"the list refuses to answer: {azure.words_of(error)} ({error.status_code})"
            raise ServiceDown(f"Azure ({doing})", why, WITHOUT) from error


def _sizes(item: Item) -> set[str]:
    """Return the sizes of a meter: `E16 v3/E16s v3` are two."""
    return {_plain(part) for key in ("skuName", "meterName") for part in str(item.get(key, "")).split("/")}


def _plain(size: str) -> str:
    return size.lower().removeprefix("standard_").replace("_", "").replace(" ", "")


def _items(
    client: PipelineClient[Any, Any], url: str, service: str, region: str, product: str = ""
) -> Iterator[Item]:
    """Yield a service's pay-as-you-go prices in USD, page by page."""
    wanted = [f"serviceName eq '{service}'", "priceType eq 'Consumption'"]
    wanted += [f"armRegionName eq '{region}'"] if region else []
    wanted += [f"productName eq '{product}'"] if product else []
    request = HttpRequest("GET", url, params={"currencyCode": "USD", "$filter": " and ".join(wanted)})
    for _ in range(PAGES):
        response = client.send_request(request)
        response.raise_for_status()
        try:
            page = response.json()
        except ValueError as error:
            raise DecodeError(str(error), response=response) from error
        yield from (item for item in page.get("Items", []) if item.get("type") == "Consumption")
        following = page.get("NextPageLink")
        if not following:
            return
        if urlsplit(following).hostname != urlsplit(url).hostname:
            break
        request = HttpRequest("GET", following)
    given = f"Azure's price list ({service})"
    raise ServiceDown(given, "its pages do not end, or continue on another host", WITHOUT)
