"""Today's prices, asked of a price list on loopback, and the operator's file that they make."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import yaml

from bootstrap.clouds import azure
from bootstrap.errors import ConfigError, ServiceDown
from infra.azure.cost import price_list, prices
from infra.azure.settings.config import AzureConfig
from tests.cloud.arm import closed_port

CONFIG = AzureConfig.model_validate(
    {
        "region": "westeurope",
        "workers": 3,
        "adminCidrs": ["203.0.113.7/32"],
        "workerSize": "Standard_E32ads_v5",
    }
)
HDINSIGHT = "HDInsight"


def item(service: str, meter: str, usd: float, **more: Any) -> dict[str, Any]:
    """An entry as the list has them; https://prices.azure.com is never asked."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": usd,
        "armRegionName": "westeurope",
        "meterName": meter,
        "skuName": meter,
        "productName": service,
        "serviceName": service,
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        **more,
    }


def listed() -> list[dict[str, Any]]:
    return [
        item(HDINSIGHT, "E8 v3/E8s v3", 0.81, skuName="E8 v3", productName="HDInsight Ev3 Series"),
        item(HDINSIGHT, "E8 v3", 0.7, productName="HDInsight Ev3 Series", type="DevTestConsumption"),
        item(HDINSIGHT, "E32ads v5", 1.1, productName="HDInsight Eadsv5 Series"),
        item(HDINSIGHT, "E32ads v5", 0.1, productName="HDInsight Eadsv5 Series Windows"),
        item(HDINSIGHT, "E32ads v5", 9.9, armRegionName="eastus"),
        item(HDINSIGHT, "A2 v2", 0.15, productName="HDInsight Av2 Series"),
        item(HDINSIGHT, "A2 v2", 9.0, productName="HDInsight ID Broker"),
        item("NAT Gateway", "Standard Gateway", 0.046, armRegionName="Global"),
        item("NAT Gateway", "Standard Data Processed", 0.047, armRegionName="Global", unitOfMeasure="1 GB"),
        item("Virtual Network", "Standard IPv4 Static Public IP", 0.006, productName="IP Addresses"),
        item(
            "Storage", "Hot LRS Data Stored", 0.0, productName="General Block Blob v2", unitOfMeasure="1 GB"
        ),
        item("Log Analytics", "Analytics Logs Data Ingestion", 0.0, unitOfMeasure="1 GB"),
        item(
            "Log Analytics", "Analytics Logs Data Ingestion", 2.8, unitOfMeasure="1 GB", tierMinimumUnits=5.0
        ),
    ]


@dataclass
class PriceList:
    """Its prices and response."""

    url: str = ""
    items: list[dict[str, Any]] = field(default_factory=listed)
    page: int = 2
    status: int = 200
    html: bool = False
    elsewhere: str = ""
    endless: bool = False
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def answer(self, query: dict[str, list[str]]) -> dict[str, Any]:
        wanted = query["$filter"][0]
        self.asked.append(wanted)
        terms = dict(re.findall(r"(\w+) eq '([^']*)'", wanted))
        kind = terms.pop("priceType")
        found = [
            one
            for one in self.items
            if one["type"].endswith(kind) and all(one[key] == value for key, value in terms.items())
        ]
        start = int(query.get("$skip", ["0"])[0])
        end = start + self.page
        more = self.endless or end < len(found)
        link = f"{self.elsewhere or self.url}?$filter={quote(wanted)}&$skip={0 if self.endless else end}"
        return {
            "BillingCurrency": "USD",
            "Items": found[start:end],
            "NextPageLink": link if more else None,
        }


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PriceList]:
    """The list on a free port, and nobody's price file."""
    made = PriceList()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.tokens += [self.headers["Authorization"]] if self.headers["Authorization"] else []
            data = (
                b"<html>"
                if made.html
                else json.dumps(made.answer(parse_qs(urlsplit(self.path).query))).encode()
            )
            self.send_response(made.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """In silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/api/retail/prices"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv(prices.VARIABLE, raising=False)
    monkeypatch.setattr(azure, "RETRY", {**azure.RETRY, "retry_backoff_factor": 0.01})
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_prices_of_the_stacks_sizes_and_of_services_are_written(served: PriceList, tmp_path: Path) -> None:
    path = price_list.refresh(CONFIG, url=served.url)
    assert path == tmp_path / "caffe-spark" / "azure-prices.yaml"
    here = prices.load().of("westeurope")
    assert here.date == datetime.now(timezone.utc).date()
    assert here.node("Standard_E8_V3") == Decimal("0.81")
    assert here.node("Standard_E32ads_v5") == Decimal("1.1")
    assert here.node("Standard_A2_v2") == Decimal("0.15")
    assert here.sizes["Standard_E8_V3"].source == "azure"
    services = here.services
    assert (services.nat_hour, services.nat_gb) == (Decimal("0.046"), Decimal("0.047"))
    assert (services.ipv4_hour, services.logs_gb) == (Decimal("0.006"), Decimal("2.8"))


def test_no_login_is_sent_and_only_pay_as_you_go_is_asked_for(served: PriceList) -> None:
    price_list.refresh(CONFIG, url=served.url)
    assert served.tokens == []
    assert all("priceType eq 'Consumption'" in one for one in served.asked)
    assert any("armRegionName eq 'westeurope'" in one for one in served.asked if HDINSIGHT in one)


def test_what_azure_did_not_answer_is_told_in_the_file_and_keeps_our_figure(served: PriceList) -> None:
    served.items = [one for one in served.items if one["meterName"] != "A2 v2"]
    lines = price_list.refresh(CONFIG, url=served.url).read_text().splitlines()
    assert "(infra/azure/cost/prices.yaml says what each means)" in lines[0]
    assert lines[1].startswith(
        "# Azure did not answer; known prices are used for: Standard_A2_v2, endpoint_hour,"
    )
    here = prices.load().of("westeurope")
    assert here.node("Standard_A2_v2") == Decimal("0.1567")
    assert here.services.blob_gb_month == Decimal("0.0196")


def test_another_regions_figures_in_the_file_stay(served: PriceList, tmp_path: Path) -> None:
    file = tmp_path / "caffe-spark" / "azure-prices.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump({"regions": {"eastus": {"services": {"nat_hour": 0.04}}}}))
    price_list.refresh(CONFIG, url=served.url)
    assert prices.load().of("eastus").services.nat_hour == Decimal("0.04")


def test_a_file_that_is_not_valid_is_not_written_over(served: PriceList, tmp_path: Path) -> None:
    file = tmp_path / "caffe-spark" / "azure-prices.yaml"
    file.parent.mkdir()
    file.write_text("regions: [")
    with pytest.raises(ConfigError, match="it is not valid YAML"):
        price_list.refresh(CONFIG, url=served.url)
    assert file.read_text() == "regions: ["
    assert served.asked == []


def test_a_list_that_knows_nothing_is_no_price_list(served: PriceList, tmp_path: Path) -> None:
    served.items = []
    with pytest.raises(ServiceDown, match="has none of the requested prices"):
        price_list.refresh(CONFIG, url=served.url)
    assert not (tmp_path / "caffe-spark").exists()


def test_a_list_that_goes_on_elsewhere_is_not_followed(served: PriceList) -> None:
    served.elsewhere = "https://prices.example/api"
    with pytest.raises(ServiceDown, match="continue on another host"):
        price_list.refresh(CONFIG, url=served.url)


def test_a_list_without_an_end_is_given_up(served: PriceList) -> None:
    served.endless = True
    with pytest.raises(ServiceDown, match="do not end"):
        price_list.refresh(CONFIG, url=served.url)
    assert len(served.asked) == price_list.PAGES


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_list_that_is_not_given_out_is_no_matter_of_a_login_or_a_stack(
    served: PriceList, status: int
) -> None:
    served.status = status
    with pytest.raises(ServiceDown, match=rf"the list refuses to answer: .*\({status}\)") as caught:
        price_list.refresh(CONFIG, url=served.url)
    assert caught.value.fix == "Run `fab cost` without --refresh."


@pytest.mark.parametrize(("status", "said"), [(429, "throttles these calls"), (400, "it is refused")])
def test_a_refusal_is_one_line(served: PriceList, status: int, said: str) -> None:
    served.status = status
    with pytest.raises(ServiceDown, match=said):
        price_list.refresh(CONFIG, url=served.url)


def test_a_page_that_is_no_price_list(served: PriceList) -> None:
    served.html = True
    with pytest.raises(ServiceDown, match="the response is not Azure"):
        price_list.refresh(CONFIG, url=served.url)


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_proxys_page_is_not_taken_for_the_lists_refusal(served: PriceList, status: int) -> None:
    served.html, served.status = True, status
    with pytest.raises(ServiceDown, match=rf"the response is not Azure's, but a web page .*HTTP {status}"):
        price_list.refresh(CONFIG, url=served.url)


def test_no_way_there_is_one_line(served: PriceList) -> None:
    with pytest.raises(ServiceDown, match="cannot be reached"):
        price_list.refresh(CONFIG, url=f"http://127.0.0.1:{closed_port()}/api")
