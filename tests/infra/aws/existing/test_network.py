"""The company's network as moto has it, checked against the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from pydantic import ValidationError

from bootstrap.errors import ConfigError
from infra.aws.existing import look_up
from infra.aws.settings.config import AwsConfig
from infra.aws.site import Site
from tests.cloud.aws_account import add_image, answers
from tests.infra.aws.conftest import REGION
from tests.infra.aws.given import Network, given_network

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef

pytestmark = pytest.mark.usefixtures("aws_account")


@pytest.fixture
def network() -> Network:
    return given_network()


def found(config: AwsConfig) -> Site:
    return look_up(config, "test").site


def refused(config: AwsConfig, *words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        look_up(config, "test")
    line = str(caught.value)
    assert line.startswith("caffe-spark:")
    for word in (*words, "valid: ", "pulumi config set", "--stack test"):
        assert word in line, line


def launch(subnet: str, address: str, tags: dict[str, str]) -> None:
    pairs: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
    boto3.client("ec2", region_name=REGION).run_instances(
        ImageId=add_image("ami-0cccccccccccccccc"),
        InstanceType="m6i.xlarge",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        PrivateIpAddress=address,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "x"}, *pairs]}],
    )


OURS = {"Project": "caffe-spark", "Stack": "test", "ManagedBy": "pulumi", "Role": "head"}


def test_zones_are_the_subnets_and_the_head_has_the_tenth_address_of_its_own(network: Network) -> None:
    site = found(network.config())
    assert site == Site(f"{REGION}a", (f"{REGION}b", f"{REGION}c"), "10.1.0.10")
    assert site.all_zones == (f"{REGION}a", f"{REGION}b", f"{REGION}c")


def test_the_head_may_have_another_address(network: Network) -> None:
    assert found(network.config(headAddress="10.1.0.77")).head_address == "10.1.0.77"


G5 = {"instanceTypes": ["g5.8xlarge"]}


def test_a_placement_group_in_subnets_of_several_zones_is_refused(network: Network) -> None:
    with pytest.raises(ConfigError) as caught:
        found(network.config(placementGroup=True))
    assert str(caught.value) == (
        f"caffe-spark:placementGroup = true: subnets.workers are in {REGION}b, {REGION}c, and placementGroup "
        "is of one zone; valid: subnets of one zone, or false. For example: `pulumi config rm placementGroup "
        "--stack test`."
    )


def test_in_subnets_of_one_zone_workers_may_be_close_and_have_efa(network: Network) -> None:
    one = {"head": network.head, "workers": network.workers[:1]}
    for more in ({"placementGroup": True}, {"efa": True, **G5}, {"efa": True, "placementGroup": True, **G5}):
        assert found(network.config(subnets=one, **more)).zones == (f"{REGION}b",)


def test_efa_in_several_subnets_is_refused_without_asking_aws(network: Network) -> None:
    with pytest.raises(ValidationError, match="EFA \\(efa: true\\) connects machines of one subnet"):
        network.config(efa=True, **G5)


def test_head_and_workers_may_share_a_subnet(network: Network) -> None:
    config = network.config(subnets={"head": network.workers[0], "workers": network.workers})
    assert found(config).head_zone == f"{REGION}b"


def test_the_address_that_the_stacks_head_has_is_its_own(network: Network) -> None:
    launch(network.head, "10.1.0.10", OURS)
    assert found(network.config()).head_address == "10.1.0.10"


@pytest.mark.parametrize(
    "tags",
    [{}, {**OURS, "Stack": "other"}, {**OURS, "Role": "worker"}],
    ids=["none", "other stack", "worker"],
)
def test_an_address_that_another_machine_has_is_refused_with_a_free_one(
    network: Network, tags: dict[str, str]
) -> None:
    launch(network.head, "10.1.0.10", tags)
    refused(network.config(), "headAddress = 10.1.0.10", network.head, "set headAddress 10.1.0.4 ")


def test_addresses_of_a_prefix_are_taken(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"NetworkInterfaceId": "eni-1", "Ipv4Prefixes": [{"Ipv4Prefix": "10.1.0.0/28"}]}

    def answer(_: str, operation: str, __: dict[str, Any]) -> dict[str, Any] | None:
        return {"NetworkInterfaces": [one]} if operation == "DescribeNetworkInterfaces" else None

    answers(monkeypatch, answer)
    refused(network.config(), "headAddress = 10.1.0.10", "eni-1", "set headAddress 10.1.0.16 ")


def test_a_subnet_without_a_free_address_is_refused(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"NetworkInterfaceId": "eni-1", "Ipv4Prefixes": [{"Ipv4Prefix": "10.1.0.0/24"}]}

    def answer(_: str, operation: str, __: dict[str, Any]) -> dict[str, Any] | None:
        return {"NetworkInterfaces": [one]} if operation == "DescribeNetworkInterfaces" else None

    answers(monkeypatch, answer)
    refused(network.config(), f"subnets.head = {network.head}", "no free address")


@pytest.mark.parametrize("address", ["10.1.0.3", "10.1.0.255", "10.1.1.10", "192.168.0.10"])
def test_an_address_that_the_head_cannot_have_is_refused(network: Network, address: str) -> None:
    refused(network.config(headAddress=address), f"headAddress = {address}", "10.1.0.4 to 10.1.0.254")


def test_a_vpc_that_is_not_there_is_refused_with_those_that_are(network: Network) -> None:
    config = network.config(vpc="vpc-0fffffffffffffff0")
    refused(config, "vpc = vpc-0fffffffffffffff0", "no such VPC", network.vpc)


def test_a_subnet_that_is_not_there_is_named_by_its_setting(network: Network) -> None:
    subnets = {"head": network.head, "workers": [network.workers[0], "subnet-0fffffffffffffff0"]}
    refused(
        network.config(subnets=subnets), "subnets.workers[1] = subnet-0f", "nothing of that id", network.vpc
    )


@pytest.mark.parametrize("key", ["head", "workers"])
def test_a_subnet_of_another_vpc_is_refused(network: Network, key: str) -> None:
    other = given_network("10.9.0.0/16")
    subnets: dict[str, Any] = {"head": network.head, "workers": network.workers}
    subnets[key] = other.head if key == "head" else [network.workers[0], other.workers[0]]
    named = "subnets.head" if key == "head" else "subnets.workers[1]"
    refused(
        network.config(subnets=subnets), f"{named} = subnet-", f"it is of {other.vpc}, not of {network.vpc}"
    )


def test_a_group_of_another_vpc_is_refused(network: Network) -> None:
    other = given_network("10.9.0.0/16")
    groups = {"head": [network.groups[0]], "workers": [other.groups[1]]}
    refused(
        network.config(securityGroups=groups),
        f"securityGroups.workers[0] = {other.groups[1]}",
        f"it is of {other.vpc}",
    )


def test_a_group_that_is_not_there_is_refused(network: Network) -> None:
    groups = {"head": ["sg-0fffffffffffffff0"], "workers": [network.groups[1]]}
    refused(network.config(securityGroups=groups), "securityGroups.head[0] = sg-0f", "nothing of that id")


def test_where_nothing_is_given_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootstrap.clouds.aws.session", lambda: pytest.fail("AWS is asked"))
    config = AwsConfig.model_validate({"region": REGION})
    assert found(config) == Site(f"{REGION}a", config.zones, "10.40.224.10")
