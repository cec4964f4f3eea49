"""The table of regions and sizes, and the rules that are made of it."""

from __future__ import annotations

from datetime import date
from ipaddress import IPv4Network

import pytest

from infra.azure import network_plan, security
from infra.azure.document import container_memory_mb
from infra.azure.settings import sizes
from infra.azure.settings.config import AzureConfig
from infra.azure.storage.firewall import addresses

TABLE = sizes.table()


def config(**values: object) -> AzureConfig:
    return AzureConfig.model_validate({"region": "westeurope", "adminCidrs": ["203.0.113.7"], **values})


def test_the_table_says_when_and_from_where() -> None:
    assert isinstance(TABLE.checked, date)
    assert "Microsoft's documentation" in TABLE.source


@pytest.mark.parametrize("size", TABLE.sizes.values(), ids=lambda size: size.name)
def test_a_size_is_whole(size: sizes.Size) -> None:
    assert size.name.startswith("Standard_")
    assert size.seen in ("docs", "template", "memory")
    assert set(size.roles) <= {"head", "worker", "zookeeper"}
    assert size.family.startswith("standard")
    assert size.family.endswith("Family")
    assert 2 <= size.memory_mib / 1024 / size.vcpus <= 8


def test_every_role_has_a_size_and_the_defaults_are_among_them() -> None:
    default = config()
    assert default.head_size in TABLE.sizes_for("head")
    assert default.worker_size in TABLE.sizes_for("worker")
    assert default.zookeeper_size in TABLE.sizes_for("zookeeper")


@pytest.mark.parametrize("name", TABLE.sizes_for("worker"))
def test_containers_leave_a_quarter_to_the_machine(name: str) -> None:
    size = TABLE.sizes[name]
    memory = container_memory_mb(size)
    assert memory % 512 == 0
    assert 0.74 * size.memory_mib < memory <= 0.75 * size.memory_mib


def test_regions_of_group_1_are_managed_from_two_others() -> None:
    regions = TABLE.regions
    assert regions["westeurope"].service_tags == (
        "HDInsight.WestEurope",
        "HDInsight.WestUS",
        "HDInsight.EastUS",
    )
    assert regions["eastus"].service_tags == ("HDInsight.EastUS", "HDInsight.WestUS")
    assert regions["uksouth"].service_tags == ("HDInsight.UKSouth",)
    assert not [name for name in regions if not (name.islower() and name.isalnum())]


@pytest.mark.parametrize("name", ["Standard_D12_v2", "standard_d3_V2", "Standard_D14_v2_Promo"])
def test_a_retired_size_is_known_with_its_day_and_is_in_no_list(name: str) -> None:
    retired = TABLE.retired_as(name)
    assert retired is not None
    assert (retired.series, retired.since) == ("Dv2", date(2026, 3, 31))
    assert TABLE.find(name) is None


@pytest.mark.parametrize("name", [*TABLE.sizes, "Standard_D12_v3", "Standard_DS12_v2", "Standard_D12"])
def test_other_series_are_not_retired_with_it(name: str) -> None:
    assert TABLE.retired_as(name) is None


def test_a_size_is_found_in_whatever_letters() -> None:
    assert TABLE.find("standard_e8_v3") is TABLE.sizes["Standard_E8_V3"]
    assert TABLE.find("STANDARD_F8S_V2") is None


def test_rules_have_priorities_of_their_own_and_sources_that_are_named() -> None:
    found = security.rules(config(adminCidrs=["203.0.113.7", "198.51.100.0/24"]))
    made = security.arguments(found)
    assert len({one.priority for one in made}) == len({one.name for one in made}) == len(made) == 5
    ssh = next(one for one in made if one.name == "operators-ssh")
    assert ssh.source_address_prefixes == ["203.0.113.7/32", "198.51.100.0/24"]
    assert ssh.source_address_prefix is None
    assert ssh.destination_port_range == "22-23"


@pytest.mark.parametrize("cidr", ["10.50.0.0/16", "172.16.0.0/20", "192.168.7.0/25"])
def test_a_network_has_two_parts_that_are_apart(cidr: str) -> None:
    plan = network_plan.plan(IPv4Network(cidr))
    assert plan.nodes.subnet_of(plan.cidr)
    assert plan.endpoints.subnet_of(plan.cidr)
    assert not plan.nodes.overlaps(plan.endpoints)
    assert plan.endpoints.prefixlen == 28
    assert plan.capacity == plan.nodes.num_addresses - 21


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("203.0.113.7/32", ["203.0.113.7"]),
        ("203.0.113.6/31", ["203.0.113.6", "203.0.113.7"]),
        ("203.0.113.4/30", ["203.0.113.4/30"]),
    ],
)
def test_small_ranges_are_single_addresses_to_an_accounts_firewall(cidr: str, expected: list[str]) -> None:
    assert list(addresses(IPv4Network(cidr))) == expected
