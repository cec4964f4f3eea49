"""A stack's configuration: what is taken, and how each mistake is told."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from bootstrap.errors import ConfigError
from infra.config import LocalConfig, load


def loaded(**values: str) -> LocalConfig:
    return load({f"caffe-spark:{key}": value for key, value in values.items()}, "dev")


def test_without_a_word_it_is_two_workers_here() -> None:
    config = loaded()
    assert (config.provider, config.workers, config.vcpu, config.memory_mb) == ("local", 2, 2, 3072)
    assert config.image.source == "mmdebstrap"


def test_numbers_and_objects_arrive_as_text() -> None:
    config = loaded(workers="3", image='{"source": "registry", "ref": "docker.io/library/debian:12"}')
    assert config.workers == 3
    assert config.image.source == "registry"


def test_keys_of_other_namespaces_are_not_ours() -> None:
    assert load({"aws:region": "eu-west-1", "pulumi:tags": "{}"}, "dev") == LocalConfig()


def test_addresses_stay_when_the_number_of_workers_changes() -> None:
    assert loaded(workers="2").address(0) == IPv4Address("10.89.77.10")
    assert loaded(workers="2").address(2) == loaded(workers="9").address(2) == IPv4Address("10.89.77.12")


def test_the_smallest_subnet_that_fits_is_taken() -> None:
    assert loaded(subnet="10.1.2.0/28", workers="4").address(4) == IPv4Address("10.1.2.14")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"workers": "0"}, ("workers = '0'", "greater than or equal to 1", "config set workers 2")),
        ({"workers": "many"}, ("workers = 'many'", "integer")),
        ({"workers": "201"}, ("workers = '201'", "200")),
        ({"vcpu": "0"}, ("vcpu = '0'", "config set vcpu 2")),
        ({"memoryMb": "1024"}, ("memoryMb = '1024'", "2048", "config set memoryMb 3072")),
        ({"memory": "4096"}, ("memory: there is no such key", "memoryMb", "config rm memory ")),
        ({"memory_mb": "4096"}, ("memory_mb: there is no such key", "config rm memory_mb")),
        ({"subnet": "here"}, ("subnet = 'here'", "IPv4", "10.89.77.0/24")),
        ({"subnet": "10.89.77.1/24"}, ("subnet = '10.89.77.1/24'", "IPv4")),
        ({"subnet": "8.8.8.0/24"}, ("8.8.8.0/24 is not a private network",)),
        ({"subnet": "10.1.2.0/28", "workers": "5"}, ("room for 4 workers, not for 5",)),
        ({"subnet": "10.1.2.0/30"}, ("room for 0 workers",)),
        ({"engine": "lxc"}, ("engine = 'lxc'", "'auto', 'podman' or 'docker'")),
        ({"provider": "gcp"}, ("provider = 'gcp'", "config set provider local")),
        ({"provider": "aws"}, ("aws", "only the provider local", "config set provider local")),
        ({"image": "debian"}, ("image = 'debian'", "image.source mmdebstrap")),
        ({"image": '{"source": "iso"}'}, ("'iso'", "mmdebstrap", "registry")),
        ({"image": '{"source": "registry"}'}, ("image.ref", "required")),
        ({"image": '{"source": "mmdebstrap", "suit": "bookworm"}'}, ("image.suit", "no such key", "suite")),
        ({"image": '{"source": "mmdebstrap", "suite": "Book worm"}'}, ("image.suite = 'Book worm'",)),
    ],
)
def test_a_mistake_is_named_with_what_is_valid(values: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(**values)
    line = str(caught.value)
    assert "\n" not in line
    for word in (*words, "--stack dev"):
        assert word in line, line
