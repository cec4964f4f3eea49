"""The table of regions, entry by entry, against moto's records of AWS's own answers."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from pydantic import ValidationError

from infra.aws.settings import regions
from infra.aws.settings.config import AwsConfig
from infra.aws.settings.regions import InstanceType, Region

RECORDS = Path(moto.__file__).parent / "ec2" / "resources"
TABLE = regions.table()
CAPABILITIES = {
    "T4": "7.5",
    "T4g": "7.5",
    "A100": "8.0",
    "A10G": "8.6",
    "L4": "8.9",
    "L40S": "8.9",
    "H100": "9.0",
    "H200": "9.0",
    "RTX PRO 4500": "12.0",
    "RTX PRO Server 6000": "12.0",
}
"""https://developer.nvidia.com/cuda-gpus"""
WITHOUT_GPUS = {"ap-southeast-4", "ca-west-1"}
EACH_REGION = pytest.mark.parametrize("region", TABLE.regions.values(), ids=lambda region: region.name)


@cache
def recorded(name: str) -> Any:
    return json.loads(gzip.decompress((RECORDS / name).read_bytes()))


def offerings(region: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in recorded(f"instance_type_offerings/availability-zone/{region}.json.gz"):
        found.setdefault(entry["InstanceType"], set()).add(entry["Location"])
    return found


def test_its_source_is_the_moto_that_it_is_held_against() -> None:
    assert f"moto library {importlib.metadata.version('moto')}" in TABLE.source


@pytest.mark.parametrize("kind", TABLE.types.values(), ids=lambda kind: kind.name)
def test_a_type_is_what_aws_says_it_is(kind: InstanceType) -> None:
    facts = recorded("instance_types.json.gz")[kind.name]
    gpus = facts.get("GpuInfo", {}).get("Gpus", [])
    assert kind.vcpus == facts["VCpuInfo"]["DefaultVCpus"]
    assert kind.memory_mib == facts["MemoryInfo"]["SizeInMiB"]
    assert kind.gpus == sum(gpu["Count"] for gpu in gpus)
    assert [kind.gpu] * len(gpus) == [gpu["Name"] for gpu in gpus]
    assert [kind.arch] == facts["ProcessorInfo"]["SupportedArchitectures"]
    assert "spot" in facts["SupportedUsageClasses"]


@pytest.mark.parametrize("kind", TABLE.types.values(), ids=lambda kind: kind.name)
def test_a_types_instance_store_is_nvme_of_the_size_that_aws_says(kind: InstanceType) -> None:
    store = recorded("instance_types.json.gz")[kind.name].get("InstanceStorageInfo", {})
    assert kind.nvme_gb == store.get("TotalSizeInGB", 0)
    assert store.get("NvmeSupport", "required") == "required"
    assert {disk["Type"] for disk in store.get("Disks", [])} <= {"ssd"}


@pytest.mark.parametrize("kind", TABLE.types.values(), ids=lambda kind: kind.name)
def test_a_type_has_the_efa_interfaces_that_aws_says_one_on_each_card(kind: InstanceType) -> None:
    facts = recorded("instance_types.json.gz")[kind.name]["NetworkInfo"]
    assert kind.efa == facts.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0)
    assert bool(kind.efa) == facts["EfaSupported"]
    if kind.efa:
        cards = facts["NetworkCards"]
        assert [card["NetworkCardIndex"] for card in cards] == list(range(kind.efa))
        # As `infra.aws.fabric` lays them out: "efa" on the first, "efa-only" as device 1 of the others.
        assert all({"efa", "efa-only"} <= set(card["InterfaceTypes"]) for card in cards)
        assert all(card["MaximumNetworkInterfaces"] >= 2 for card in cards)


@pytest.mark.parametrize("kind", TABLE.types.values(), ids=lambda kind: kind.name)
def test_a_type_may_be_in_a_cluster_placement_group(kind: InstanceType) -> None:
    facts = recorded("instance_types.json.gz")[kind.name]
    assert "cluster" in facts["PlacementGroupInfo"]["SupportedStrategies"]


@pytest.mark.parametrize("kind", TABLE.types.values(), ids=lambda kind: kind.name)
def test_capacity_blocks_are_of_p_families(kind: InstanceType) -> None:
    classes = recorded("instance_types.json.gz")[kind.name]["SupportedUsageClasses"]
    assert ("capacity-block" in classes) == kind.family.startswith("p")


def test_families_are_there_with_all_their_sizes_but_bare_metal() -> None:
    families = {kind.family for kind in TABLE.types.values() if kind.gpus and kind.arch == "x86_64"}
    assert families == {
        *("g4dn", "g5", "g6", "gr6", "g6e", "g7", "g7e"),
        *("p4d", "p4de", "p5", "p5e", "p5en"),
    }
    every = {name for name in recorded("instance_types.json.gz") if name.partition(".")[0] in families}
    assert {name for name in every if not name.endswith(".metal")} <= set(TABLE.types)


def test_every_commercial_region_is_in_the_table_or_said_to_be_unsettled() -> None:
    known = set(boto3.session.Session().get_available_regions("ec2"))
    assert not set(TABLE.regions) & set(TABLE.unsettled)
    assert known == {*TABLE.regions, *TABLE.unsettled}


@pytest.mark.parametrize("kind", TABLE.types.values(), ids=lambda kind: kind.name)
def test_a_gpu_has_nvidias_compute_capability(kind: InstanceType) -> None:
    assert kind.compute_capability == (CAPABILITIES[kind.gpu] if kind.gpus else "")


@EACH_REGION
def test_a_type_is_offered_in_exactly_the_zones_that_aws_names(region: Region) -> None:
    truth = {name: zones for name, zones in offerings(region.name).items() if name in TABLE.types}
    assert {name: set(zones) for name, zones in region.offerings.items()} == truth


@EACH_REGION
def test_a_region_has_the_zones_that_offer_any_of_the_types(region: Region) -> None:
    assert set(region.zones) == {zone for zones in region.offerings.values() for zone in zones}
    assert list(region.zones) == sorted(region.zones)


@EACH_REGION
def test_a_stack_that_names_only_a_region_is_valid_there_or_told_of_its_gpus(region: Region) -> None:
    if region.name in WITHOUT_GPUS:
        with pytest.raises(ValidationError, match=f"{region.name} does not offer it"):
            AwsConfig.model_validate({"region": region.name})
        plain = AwsConfig.model_validate({"region": region.name, "instanceTypes": ["c7i.xlarge"]})
        assert region.offered(plain.head_type, plain.zones[:1])
        return
    config = AwsConfig.model_validate({"region": region.name})
    assert 1 <= len(config.zones) <= 3
    assert config.gpus == 1
    assert region.offered(config.head_type, config.zones[:1])
    for zone in config.zones:
        assert any(region.offered(name, [zone]) for name in config.instance_types)


def test_regions_without_our_gpus_are_these() -> None:
    gpus = [kind.name for kind in TABLE.types.values() if kind.gpus and kind.arch == "x86_64"]
    without = {name for name, region in TABLE.regions.items() if not set(gpus) & set(region.offerings)}
    assert without == WITHOUT_GPUS


def test_stacks_of_earlier_versions_keep_their_zones_and_types() -> None:
    for name in ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2"):
        config = AwsConfig.model_validate({"region": name})
        assert config.zones == tuple(f"{name}{letter}" for letter in "abc")
        assert config.instance_types == ("g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g5.2xlarge")
        assert config.head_type == "m6i.xlarge"


def test_ireland_has_no_g6_and_only_some_zones_of_oregon_have_g5() -> None:
    assert "g6.xlarge" not in TABLE.regions["eu-west-1"].offerings
    oregon = TABLE.regions["us-west-2"]
    assert oregon.offered("g5.xlarge", ["us-west-2c", "us-west-2d"]) == ("us-west-2c",)


@pytest.mark.parametrize("kind", ["gpu", "plain"])
def test_an_image_is_named_after_its_distribution_and_everybody_can_log_in(kind: regions.Kind) -> None:
    for distribution, parameter in TABLE.images[kind].items():
        assert parameter.startswith("/aws/service/")
        assert f"/{distribution.split('-')[1]}/" in parameter or distribution in parameter
        assert TABLE.users[distribution]


def test_ubuntus_images_bring_nvidias_driver_and_debians_do_not() -> None:
    assert list(TABLE.images["gpu"]) == ["ubuntu-22.04", "ubuntu-24.04"]
    assert list(TABLE.images["plain"]) == ["ubuntu-22.04", "ubuntu-24.04", "debian-12"]
