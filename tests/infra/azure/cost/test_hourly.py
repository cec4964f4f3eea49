"""Cost of a stack on Azure per hour, the output of `fab cost`, and the table of prices."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from rich.console import Console

from bootstrap.errors import ConfigError
from infra.azure.cost import estimate, hourly, prices
from infra.azure.cost.prices import Prices
from infra.azure.settings import sizes
from infra.azure.settings.config import AzureConfig
from infra.cost.bill import Bill
from tests.infra.cost.test_estimate import ran


@pytest.fixture(autouse=True)
def nobodys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the operator's file of prices."""
    monkeypatch.delenv(prices.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "caffe-spark" / "azure-prices.yaml"


def priced(**services: Any) -> Prices:
    """A table in which every sum can be done in one's head."""
    known = {
        "nat_hour": "0.1",
        "nat_gb": "0.05",
        "ipv4_hour": "0.01",
        "endpoint_hour": "0.02",
        "endpoint_gb": "0.03",
        "blob_gb_month": "0.02",
        "logs_gb": "2",
        "source": "test",
    }
    nodes = {
        name: {"hour": hour, "source": "test"}
        for name, hour in (("Standard_E8_V3", 1), ("Standard_A2_v2", "0.1"))
    }
    region = {"date": "2026-11-25", "services": {**known, **services}, "sizes": nodes}
    return Prices.model_validate({"sources": {"test": "made up"}, "regions": {"westeurope": region}})


def config(**values: Any) -> AzureConfig:
    given = {"region": "westeurope", "workers": 3, "adminCidrs": ["203.0.113.7/32"], **values}
    return AzureConfig.model_validate(given)


def bill(table: Prices | None = None, **values: Any) -> Bill:
    return hourly.hourly(config(**values), table or priced())


REST = 2 + Decimal("0.3") + Decimal("0.1") + Decimal("0.01")
"""Heads, ZooKeepers, the gateway, its address."""


def test_the_total_is_the_sum_of_all_machines_and_the_way_out() -> None:
    found = bill()
    assert found.low == found.high == REST + 3
    assert found.missing == ()
    assert found.on_demand is None


def test_autoscale_is_a_range_from_the_fewest_to_the_most_workers() -> None:
    found = bill(autoscale={"min": 3, "max": 6})
    assert (found.low, found.high) == (REST + 3, REST + 6)
    (workers,) = [line for line in found.lines if line.what.startswith("workers")]
    assert workers.count_text == "3 to 6"


def test_a_schedule_has_its_least_and_its_most_as_well() -> None:
    slots = [
        {"days": ["Monday"], "time": "08:00", "min": 5, "max": 5},
        {"days": ["Monday"], "time": "18:00", "min": 3, "max": 3},
    ]
    found = bill(workers=4, autoscale={"timeZone": "UTC", "schedule": slots})
    assert (found.low, found.high) == (REST + 3, REST + 5)


def test_private_link_adds_its_endpoints() -> None:
    found = bill(privateLink=True, resourceProviderConnection="outbound")
    assert found.low == REST + 3 + Decimal("0.04")
    assert "through the private endpoints: 0.03 USD per GB" in found.notes


def test_what_is_paid_by_the_gigabyte_is_noted() -> None:
    assert bill(logAnalytics=True).notes == (
        "the storage account: 0.02 USD per GB and month",
        "through the NAT gateway: 0.05 USD per GB",
        "Log Analytics: 2 USD per GB ingested",
    )
    assert bill(storageStack="keep").notes == ("through the NAT gateway: 0.05 USD per GB",)


def test_a_stack_of_storage_is_paid_by_the_gigabyte_alone() -> None:
    found = bill(part="storage")
    assert (found.low, found.lines) == (Decimal(0), ())
    assert found.notes == ("the storage account: 0.02 USD per GB and month",)


def test_a_day_and_what_has_no_price() -> None:
    assert hourly.daily(bill()) == "129.84 USD"
    assert hourly.daily(bill(autoscale={"min": 3, "max": 6})) == "129.84 to 201.84 USD"
    found = bill(headSize="Standard_E16_V3")
    assert found.missing == ("heads, Standard_E16_V3",)
    assert "without heads, Standard_E16_V3: no price" in found.total_text
    assert found.total_text.startswith("at least 3.41 USD/h (at least 2,489 USD a month); ")
    assert hourly.daily(found) == "at least 81.84 USD"
    assert bill(priced(nat_hour=None)).missing == ("NAT gateway",)


def test_without_any_price_nothing_costs_nothing() -> None:
    found = bill(region="uksouth")
    assert found.total_text.startswith("unknown: no price of heads, Standard_E8_V3, workers, ")
    assert hourly.daily(found) == "unknown"
    assert found.notes == (
        "the storage account: no price by the GB and month",
        "through the NAT gateway: no price by the GB",
    )
    storage = bill(region="uksouth", part="storage")
    assert storage.notes == ("the storage account: no price by the GB and month",)


def test_a_network_that_is_given_costs_the_stack_nothing_that_it_knows() -> None:
    given = (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/net/providers/"
        "Microsoft.Network/virtualNetworks/v1/subnets/s1"
    )
    found = bill(subnetId=given, privateLink=True, resourceProviderConnection="outbound")
    assert found.low == 3 + 2 + Decimal("0.3")
    assert any("the network is yours (subnetId)" in note for note in found.notes)


def shown(results: Path | None = None, **values: Any) -> list[str]:
    said = io.StringIO()
    estimate.show(Console(file=said, width=60), config(**values), priced(), results=results)
    return said.getvalue().splitlines()


def test_the_bill_comes_first_then_a_day_and_what_a_job_costs(tmp_path: Path) -> None:
    ran(tmp_path, "mnist-1")
    said = shown(tmp_path)
    assert said[0].split() == ["what", "count", "USD/h", "each", "USD/h"]
    assert [line.split("  ")[0] for line in said[-6:-1]] == ["total", "plus", "plus", "remain", "a job"]
    assert "HDInsight cannot pause: all of it is billed from `pulumi up` until `pulumi destroy`" in said[-3]
    assert said[-2].endswith("30 min, 2.70 USD")


def test_where_something_has_no_price_the_command_that_asks_for_it_is_told() -> None:
    assert any("fab cost --refresh" in line for line in shown(region="eastus"))


def test_a_stack_of_storage_is_billed_without_a_day() -> None:
    assert not any(line.startswith("a day") for line in shown(part="storage"))


# ---- the table


def test_every_region_of_the_table_is_dated_and_prices_every_size() -> None:
    table = prices.load()
    assert "westeurope" in table.regions
    for region, entry in table.regions.items():
        assert entry.date, region
        assert not [name for name in entry.sizes if sizes.table().retired_as(name)]
        assert set(entry.sizes) == set(sizes.table().sizes), region
        assert None not in entry.services.model_dump().values(), region


def test_every_figure_says_where_it_is_from() -> None:
    table = prices.load()
    for entry in table.regions.values():
        found = {entry.services.source, *(price.source for price in entry.sizes.values())}
        assert found <= set(table.sources)


def test_the_default_stack_has_its_price() -> None:
    found = hourly.hourly(config(), prices.load())
    assert found.missing == ()
    assert Decimal(3) < found.low < Decimal(6)


def test_a_larger_size_of_a_family_costs_more() -> None:
    for entry in prices.load().regions.values():
        for family in {size.family for size in sizes.table().sizes.values()}:
            some = [size for size in sizes.table().sizes.values() if size.family == family]
            ordered = sorted(some, key=lambda size: (size.vcpus, size.memory_mib))
            hours = [entry.sizes[size.name].hour for size in ordered]
            assert hours == sorted(hours), family


def test_the_operators_figures_go_before_ours(nobodys_file: Path) -> None:
    nobodys_file.parent.mkdir(parents=True)
    nobodys_file.write_text(
        dedent(
            """
            regions:
              westeurope: {date: 2026-12-01, sizes: {Standard_E8_V3: {hour: 0.5}}}
            """
        )
    )
    table = prices.load()
    assert table.of("westeurope").node("Standard_E8_V3") == Decimal("0.5")
    assert table.of("westeurope").sizes["Standard_E8_V3"].source == "override"
    assert table.origin("westeurope") == f"{nobodys_file} of 2026-12-01, over the project's price table"
    assert table.of("japaneast").node("Standard_E8_V3") is None


def test_a_retired_size_in_the_operators_file_does_no_harm(nobodys_file: Path) -> None:
    nobodys_file.parent.mkdir(parents=True)
    nobodys_file.write_text("regions: {westeurope: {sizes: {Standard_D13_v2: {hour: 1.1}}}}")
    assert prices.load().of("westeurope").node("Standard_D13_v2") == Decimal("1.1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("regions: {norge: {}}", "regions.norge: unknown region; valid: eastus,"),
        (
            "regions: {westeurope: {sizes: {Standard_E9: {hour: 1}}}}",
            "sizes.Standard_E9: unknown size; valid: Standard_E4_V3,",
        ),
        (
            "regions: {westeurope: {sizes: {Standard_E8_V3: {day: 1}}}}",
            "Standard_E8_V3.day: unknown key; valid keys: hour, source",
        ),
        (
            "regions: {westeurope: {services: {nat: 1}}}",
            "services.nat: unknown key; valid keys: nat_hour,",
        ),
        ("regions: {westeurope: {services: {nat_hour: 0}}}", "services.nat_hour: 0: "),
        ("regions: [", "azure-prices.yaml: it is not valid YAML: "),
    ],
)
def test_what_is_no_price_is_refused_in_one_line(nobodys_file: Path, text: str, said: str) -> None:
    nobodys_file.parent.mkdir(parents=True)
    nobodys_file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        prices.load()
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
