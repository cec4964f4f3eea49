"""The table of regions, entry by entry, against moto's records of AWS's own answers."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
from functools import cache
from pathlib import Path
from typing import Any

import moto
import pytest

from infra.aws.settings import regions
from infra.aws.settings.config import AwsConfig
from infra.aws.settings.regions import InstanceType, Region

RECORDS = Path(moto.__file__).parent / "ec2" / "resources"
TABLE = regions.table()
CAPABILITIES = {"T4": "7.5", "T4g": "7.5", "A10G": "8.6", "L4": "8.9"}
"""https://developer.nvidia.com/cuda-gpus"""
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
def test_a_stack_that_names_only_a_region_is_valid_there(region: Region) -> None:
    config = AwsConfig.model_validate({"region": region.name})
    assert config.zones == region.zones[:3]
    for name in config.instance_types:
        assert region.offered(name, config.zones) == config.zones


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
