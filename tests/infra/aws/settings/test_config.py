"""Configuration of a stack on AWS: each mistake is an error before the first resource."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import IPv4Network
from typing import Any

import pytest

from bootstrap.errors import ConfigError
from infra.aws.settings import regions
from tests.infra.aws.settings.stack_file import loaded

GPU = ["g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g5.2xlarge"]
CPU = ["c6i.2xlarge", "c5.2xlarge"]
DATE = regions.table().date
TABLE = f"our table of {DATE} ({regions.SHOWN})"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_region_is_enough() -> None:
    config = loaded()
    assert config.zones == ("eu-west-1a", "eu-west-1b", "eu-west-1c")
    assert (config.workers, config.min_workers, config.max_workers) == (2, 0, 4)
    assert (config.egress, config.distribution, config.head_type) == ("nat", "ubuntu-24.04", "m6i.xlarge")
    assert (config.on_demand_base, config.on_demand_percentage, config.max_price) == (0, 0, None)
    assert (config.admin_cidrs, config.key_pair, config.head_ami) == ((), None, None)
    assert (config.capacity_rebalance, config.rebalance_notice) == (True, False)


def test_everything_else_may_be_said_too() -> None:
    config = loaded(
        zones=["eu-west-1b"],
        cidr="172.20.0.0/20",
        egress="endpoints",
        flowLogs=True,
        adminCidrs=["203.0.113.7", "198.51.100.0/24"],
        distribution="ubuntu-24.04",
        headType="m7i.2xlarge",
        headVolumeGb=80,
        headAmi="ami-0123456789abcdef0",
        workerAmi="ami-01234567",
        terminationProtection=True,
        workers=3,
        minWorkers=1,
        maxWorkers=5,
        onDemandBase=1,
        onDemandPercentage=25,
        maxPrice="0.80",
        workerVolumeGb=120,
        forceDestroy=True,
        keyPair="theirs",
        privateKeyFile="~/.ssh/theirs.pem",
    )
    assert config.admin_cidrs == (IPv4Network("203.0.113.7/32"), IPv4Network("198.51.100.0/24"))
    assert config.max_price == Decimal("0.80")
    assert (config.flow_logs, config.termination_protection, config.force_destroy) == (True, True, True)
    assert (config.on_demand_percentage, config.max_workers, config.worker_volume_gb) == (25, 5, 120)


def test_a_price_may_be_a_number() -> None:
    assert loaded(maxPrice=0.8).max_price == Decimal("0.8")


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        KEY.replace("1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"),
        "arn:aws:kms:eu-west-1:123456789012:alias/team/volumes",
        "alias/team/volumes_2",
    ],
)
def test_volumes_may_have_a_key_by_its_arn_or_an_alias(key: str) -> None:
    config = loaded(kmsKey=key)
    assert (config.kms_key, config.kms_grant) == (key, True)
    assert loaded(kmsKey=key, kmsGrant=False).kms_grant is False


@pytest.mark.parametrize("key", ["maxPrice", "headAmi", "workerAmi", "keyPair", "privateKeyFile", "kmsKey"])
def test_a_key_without_a_value_is_as_if_it_were_not_there(key: str) -> None:
    assert loaded(**{key: ""}) == loaded()


def test_more_workers_raise_the_most_that_there_may_be() -> None:
    assert loaded(workers=7).max_workers == 14
    assert loaded(workers=200).max_workers == 400


def test_what_every_worker_has_is_what_the_smallest_type_has() -> None:
    config = loaded(instanceTypes=["g4dn.8xlarge", "g5.2xlarge"])
    assert (config.gpus, config.vcpus, config.memory_mib) == (1, 8, 32768)
    assert [kind.name for kind in config.types] == ["g4dn.8xlarge", "g5.2xlarge"]


def test_workers_may_have_several_gpus_all_as_many() -> None:
    config = loaded(instanceTypes=["g4dn.12xlarge", "g5.12xlarge", "g5.24xlarge"])
    assert (config.gpus, config.vcpus) == (4, 48)


def test_a_region_without_the_usual_types_has_others_by_default() -> None:
    config = loaded("ap-south-2")
    assert config.instance_types == ("g6.xlarge", "g6.2xlarge")
    assert config.zones == ("ap-south-2a", "ap-south-2b")


def test_zones_are_by_default_those_that_offer_the_types() -> None:
    assert loaded(instanceTypes=["p4d.24xlarge"]).zones == ("eu-west-1c",)
    assert loaded("eu-south-2").head_type == "m7i.xlarge"


def test_caffe_is_compiled_for_each_gpu_once_and_for_none_without() -> None:
    assert loaded("us-east-1", instanceTypes=["g6.xlarge", *GPU]).compute_capabilities == (
        "7.5",
        "8.6",
        "8.9",
    )
    assert loaded(instanceTypes=CPU).compute_capabilities == ()


@pytest.mark.parametrize(
    ("distribution", "types", "head", "worker", "user"),
    [
        ("ubuntu-22.04", GPU, "canonical/ubuntu/server/22.04", "nvidia-driver-gpu-ubuntu-22.04", "ubuntu"),
        ("ubuntu-24.04", GPU, "canonical/ubuntu/server/24.04", "nvidia-driver-gpu-ubuntu-24.04", "ubuntu"),
        ("ubuntu-22.04", CPU, "hvm/ebs-gp2", "hvm/ebs-gp2", "ubuntu"),
        ("ubuntu-24.04", CPU, "hvm/ebs-gp3", "hvm/ebs-gp3", "ubuntu"),
        ("debian-12", CPU, "debian/release/12/latest/amd64", "debian/release/12/latest/amd64", "admin"),
    ],
)
def test_head_and_workers_have_images_of_one_distribution(
    distribution: str, types: list[str], head: str, worker: str, user: str
) -> None:
    spark = "3.5" if distribution == "ubuntu-22.04" else "4.3"
    config = loaded(
        distribution=distribution, spark=spark, instanceTypes=types, adminCidrs=["203.0.113.7/32"]
    )
    assert head in config.ami_parameter("head")
    assert worker in config.ami_parameter("worker")
    assert config.ssh_user == user


def test_the_newest_spark_has_a_distribution_with_its_python_and_the_older_one_keeps_its_images() -> None:
    newest, older = loaded(), loaded(spark="3.5")
    assert (newest.spark, newest.distribution) == ("4.3", "ubuntu-24.04")
    assert (older.spark, older.distribution) == ("3.5", "ubuntu-22.04")
    assert loaded(spark="3.5", distribution="ubuntu-24.04").distribution == "ubuntu-24.04"


RESERVATIONS = "arn:aws:resource-groups:eu-west-1:123456789012:group/training"
RESERVED: dict[str, Any] = {
    "reservation": "cr-0123456789abcdef0",
    "onDemandPercentage": 100,
    "instanceTypes": ["g5.12xlarge"],
    "zones": ["eu-west-1a"],
}


def test_workers_may_start_in_a_reservation_a_group_of_them_or_a_capacity_block() -> None:
    assert not loaded(**RESERVED).spot
    assert loaded(**{**RESERVED, "reservation": RESERVATIONS, "zones": ["eu-west-1a", "eu-west-1b"]})
    block = {**RESERVED, "instanceTypes": ["p5.48xlarge"], "zones": ["us-east-1b"], "capacityBlock": True}
    assert loaded("us-east-1", **block).capacity_block


EFA: dict[str, Any] = {"efa": True, "instanceTypes": ["g5.8xlarge", "g4dn.8xlarge"], "zones": ["eu-west-1a"]}
"""Two types with one interface each."""
CLOSE: dict[str, Any] = {"placementGroup": True, "zones": ["eu-west-1a"]}


def test_workers_with_efa_have_as_many_interfaces_as_their_type() -> None:
    assert loaded().efa_interfaces == 0
    assert loaded(**EFA).efa_interfaces == 1
    large = {"efa": True, "instanceTypes": ["p5.48xlarge", "p5e.48xlarge"], "zones": ["us-east-2b"]}
    assert loaded("us-east-2", **large).efa_interfaces == 32
    block = {**RESERVED, "instanceTypes": ["p4d.24xlarge"], "zones": ["eu-west-1c"], "capacityBlock": True}
    assert loaded(**block, efa=True).efa_interfaces == 4


def test_a_placement_group_goes_with_spot_with_workers_on_demand_and_with_a_reservation() -> None:
    assert loaded(**CLOSE).spot
    assert loaded(**CLOSE, onDemandBase=1, fallbackAfter="10 min").placement_group
    assert loaded(**{**RESERVED, **CLOSE}).placement_group
    assert loaded(**EFA, placementGroup=True).efa


MISTAKES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    # where
    ("no region", {"region": None}, ("region: it is required", "us-west-2", "set region eu-west-1")),
    ("region", {"region": "eu-west-9"}, ("region = 'eu-west-9'", f"it is not in {TABLE}", "eu-central-1")),
    ("a zone for a region", {"region": "eu-west-1a"}, ("'eu-west-1a'", "valid: af-south-1, ", "eu-west-1, ")),
    (
        "region whose offerings nobody knows",
        {"region": "mx-central-1"},
        ("region = 'mx-central-1'", f"what it offers is not known to {TABLE}", "valid: af-south-1"),
    ),
    (
        "region without GPUs",
        {"region": "ca-west-1"},
        ("instanceTypes[0] = g4dn.xlarge", "ca-west-1 does not offer it", "valid: m5.large"),
    ),
    (
        "zone without a large type",
        {"instanceTypes": ["p4d.24xlarge"], "zones": ["eu-west-1a"]},
        ("instanceTypes[0] = p4d.24xlarge", "offered in eu-west-1c, not in eu-west-1a", "valid: g5.48xlarge"),
    ),
    (
        "large type that the region lacks",
        {"instanceTypes": ["p5.48xlarge"]},
        ("eu-west-1 does not offer it", "valid: g5.48xlarge, p4d.24xlarge"),
    ),
    (
        "slice of a GPU",
        {"region": "us-east-1", "instanceTypes": ["g6f.xlarge"]},
        (f"it is not in our table of {DATE}", "'instanceTypes[0]' g4dn.xlarge"),
    ),
    ("provider", {"provider": "gcp"}, ("provider = 'gcp'", "local, aws and azure", "set provider local")),
    (
        "zone of another region",
        {"zones": ["eu-west-1b", "us-east-1a"]},
        (
            "zones[1] = us-east-1a",
            "valid: eu-west-1a, eu-west-1b, eu-west-1c",
            "--path 'zones[1]' eu-west-1a",
        ),
    ),
    (
        "zone that is not",
        {"zones": ["eu-west-1d"]},
        ("zones[0] = eu-west-1d", "--path 'zones[0]' eu-west-1a"),
    ),
    ("no zones", {"zones": []}, ("zones = []", "it is empty", "valid: eu-west-1a", "--path 'zones[0]'")),
    (
        "zones as text",
        {"zones": "eu-west-1a"},
        ("zones = 'eu-west-1a'", "it must be a list", "--path 'zones[0]'"),
    ),
    ("zones as object", {"zones": {"a": 1}}, ("zones = {'a': 1}", "it must be a list")),
    (
        "twice the same zone",
        {"zones": ["eu-west-1a", "eu-west-1b", "eu-west-1a"]},
        ("zones[2] = eu-west-1a", "it is zones[0] already", "config rm --path 'zones[2]'"),
    ),
    (
        "zone without the types",
        {"region": "us-west-2", "zones": ["us-west-2a", "us-west-2d"]},
        ("zones[1] = us-west-2d", "offers none of g4dn.xlarge", "valid: us-west-2a, us-west-2b, us-west-2c"),
    ),
    # network
    ("cidr too small", {"cidr": "10.40.0.0/24"}, ("cidr = '10.40.0.0/24'", "too small", "/16 to /22")),
    ("cidr too large", {"cidr": "10.0.0.0/8"}, ("cidr = '10.0.0.0/8'", "too large", "cidr 10.40.0.0/16")),
    ("public cidr", {"cidr": "8.8.0.0/16"}, ("cidr = '8.8.0.0/16'", "not a private range", "192.168.0.0/16")),
    (
        "cidr with host bits",
        {"cidr": "10.40.1.0/16"},
        ("cidr = '10.40.1.0/16'", "IPv4", "valid: a range /16"),
    ),
    ("cidr text", {"cidr": "large"}, ("cidr = 'large'", "valid: a range /16 to /22 within 10.0.0.0/8")),
    (
        "cidr without room",
        {"cidr": "10.40.0.0/22", "workers": 190},
        ("cidr = 10.40.0.0/22", "room for 369 workers, not for 380", "up to /16", "cidr 10.40.0.0/16"),
    ),
    (
        "endpoints take room too",
        {"cidr": "10.40.0.0/22", "workers": 184, "egress": "endpoints"},
        ("room for 364 workers, not for 368",),
    ),
    ("egress", {"egress": "none"}, ("egress = 'none'", "valid: nat, endpoints", "config set egress nat")),
    ("flow logs", {"flowLogs": "maybe"}, ("flowLogs = 'maybe'", "true or false", "config set flowLogs true")),
    (
        "everybody",
        {"adminCidrs": ["0.0.0.0/0"]},
        ("adminCidrs[0] = 0.0.0.0/0", "whole internet", "Session Manager"),
    ),
    ("everybody, IPv6", {"adminCidrs": ["::/0"]}, ("adminCidrs[0] = '::/0'", "whole internet", "/8 to /32")),
    ("IPv6", {"adminCidrs": ["2001:db8::/64"]}, ("adminCidrs[0] = '2001:db8::/64'", "IPv4 only")),
    ("half the internet", {"adminCidrs": ["128.0.0.0/1"]}, ("128.0.0.0/1", "too wide", "valid: /8 to /32")),
    ("second source", {"adminCidrs": ["203.0.113.7", "0.0.0.0/0"]}, ("adminCidrs[1]", "checkip", "/32")),
    (
        "the VPC's own range",
        {"adminCidrs": ["10.40.0.0/17"]},
        ("adminCidrs[0] = 10.40.0.0/17", "overlaps 10.40.0.0/16, the VPC's own range", "public addresses"),
    ),
    ("private source", {"adminCidrs": ["192.168.1.20"]}, ("192.168.1.20/32", "private range", "checkip")),
    (
        "sources that overlap",
        {"adminCidrs": ["203.0.113.0/24", "203.0.113.7/32"]},
        ("adminCidrs[1] = 203.0.113.7/32", "overlaps 203.0.113.0/24", "rm --path 'adminCidrs[1]'"),
    ),
    ("source text", {"adminCidrs": ["home"]}, ("adminCidrs[0] = 'home'", "valid: a list of public IPv4")),
    (
        "source with host bits",
        {"adminCidrs": ["203.0.113.7/24"]},
        ("203.0.113.7/24", "host bits", "/8 to /32"),
    ),
    (
        "source without list",
        {"adminCidrs": "203.0.113.7/32"},
        ("it must be a list", "--path 'adminCidrs[0]'"),
    ),
    (
        "more sources than a group takes",
        {"adminCidrs": [f"203.0.113.{number}" for number in range(51)]},
        ("adminCidrs = 51 ranges", "50 ranges at most"),
    ),
    # machines
    (
        "distribution",
        {"distribution": "debian-13"},
        ("distribution = 'debian-13'", "valid: ubuntu-24.04, ubuntu-22.04", "set distribution"),
    ),
    (
        "a Python that Spark refuses",
        {"distribution": "ubuntu-22.04"},
        (
            "distribution = ubuntu-22.04: ubuntu-22.04 has Python 3.10, and Spark 4.3 requires 3.11",
            "valid: ubuntu-24.04, debian-12, or spark 3.5 with it",
            "config set spark 3.5",
        ),
    ),
    ("Spark", {"spark": "4.0"}, ("spark = '4.0'", "valid: 4.3, 3.5", "config set spark 4.3")),
    (
        "nobody to let the operator in",
        {"distribution": "debian-12", "instanceTypes": CPU},
        ("distribution = debian-12", "no SSM agent", "adminCidrs", "set distribution ubuntu-24.04"),
    ),
    (
        "GPU types on Debian",
        {"distribution": "debian-12"},
        ("distribution = debian-12", "g4dn.xlarge", "NVIDIA's driver", "valid: ubuntu-24.04, or types"),
    ),
    (
        "head with a GPU",
        {"headType": "g4dn.xlarge"},
        ("headType = g4dn.xlarge", "1 T4", "does not use", "valid: m5.large", "m6i.xlarge"),
    ),
    ("head of ARM", {"headType": "m6g.xlarge"}, ("headType = m6g.xlarge", "arm64", "x86_64", "m6i.xlarge")),
    (
        "head unknown",
        {"headType": "t3.micro"},
        (
            "headType = t3.micro",
            f"it is not in our table of {DATE}; to add it, see the head of",
            "valid: m5.large",
        ),
    ),
    (
        "small head volume",
        {"headVolumeGb": 8},
        ("headVolumeGb = '8'", "valid: 20 to 16384", "headVolumeGb 50"),
    ),
    (
        "volume in words",
        {"workerVolumeGb": "100 GB"},
        ("workerVolumeGb = '100 GB'", "integer", "20 to 16384"),
    ),
    ("AMI", {"headAmi": "ubuntu"}, ("headAmi = 'ubuntu'", "valid: ami- and 8 or 17", "set headAmi ami-")),
    ("AMI of worker", {"workerAmi": "ami-12345"}, ("workerAmi = 'ami-12345'", "8 or 17 hexadecimal digits")),
    ("protection", {"terminationProtection": 2}, ("terminationProtection = '2'", "valid: true, false")),
    # the key of volumes
    (
        "a key's id alone",
        {"kmsKey": KEY.rpartition("/")[2]},
        ("neither the ARN of a KMS key nor", "alias/NAME"),
    ),
    (
        "a key's name alone",
        {"kmsKey": "volumes"},
        ("kmsKey = 'volumes'", "nor an alias", "set kmsKey alias/NAME"),
    ),
    (
        "half an ARN of a key",
        {"kmsKey": KEY[:-4]},
        ("kmsKey = 'arn:", "neither the ARN of a KMS key nor an alias"),
    ),
    (
        "an ARN of something else",
        {"kmsKey": "arn:aws:s3:::bucket"},
        ("neither the ARN of a KMS key nor an alias",),
    ),
    ("an account's name in the ARN", {"kmsKey": KEY.replace("123456789012", "ours")}, ("neither the ARN",)),
    (
        "AWS's own key",
        {"kmsKey": "alias/aws/ebs"},
        ("kmsKey = 'alias/aws/ebs'", "a key of AWS's own", "without"),
    ),
    (
        "AWS's own key by its ARN",
        {"kmsKey": "arn:aws:kms:eu-west-1:123456789012:alias/aws/ebs"},
        ("a key of AWS's own",),
    ),
    ("an empty alias", {"kmsKey": "alias/"}, ("kmsKey = 'alias/'", "nor an alias")),
    (
        "an alias with a space",
        {"kmsKey": "alias/our volumes"},
        ("kmsKey = 'alias/our volumes'", "nor an alias"),
    ),
    ("several keys", {"kmsKey": ["alias/a", "alias/b"]}, ("kmsKey = ", "set kmsKey alias/NAME")),
    (
        "a key of another region",
        {"kmsKey": KEY.replace("eu-west-1", "us-east-1")},
        (
            f"kmsKey = {KEY.replace('eu-west-1', 'us-east-1')}",
            "it is in us-east-1",
            "valid: an ARN in eu-west-1",
        ),
    ),
    (
        "a grant without a key",
        {"kmsGrant": False},
        ("kmsGrant = false", "kmsKey is missing", "set kmsKey alias/NAME"),
    ),
    (
        "a grant in words",
        {"kmsKey": KEY, "kmsGrant": "no grant"},
        ("kmsGrant = 'no grant'", "valid: true, false"),
    ),
    ("training in words", {"cpuTraining": "never"}, ("cpuTraining = 'never'", "valid: true, false")),
    ("training as a number", {"cpuTraining": 7}, ("cpuTraining = '7'", "it must be true or false")),
    # workers
    ("no workers", {"workers": 0}, ("workers = '0'", "valid: 1 to 200", "config set workers 2")),
    ("too many workers", {"workers": 201}, ("workers = '201'", "valid: 1 to 200")),
    ("workers in words", {"workers": "two"}, ("workers = 'two'", "integer", "valid: 1 to 200")),
    ("workers as list", {"workers": [2]}, ("workers = [2]", "integer", "config set workers 2")),
    (
        "max below min",
        {"minWorkers": 3, "maxWorkers": 1},
        ("minWorkers = 3", "more than workers (2)", "valid: 0 to 2", "config set minWorkers 0"),
    ),
    ("max below workers", {"maxWorkers": 1}, ("maxWorkers = 1", "less than workers (2)", "set maxWorkers 4")),
    (
        "training that leaves workers which nobody replaces",
        {"capacityRebalance": False, "rebalanceNotice": True},
        ("rebalanceNotice = true", "capacityRebalance: false", "config set rebalanceNotice false"),
    ),
    (
        "a group that grows and never shrinks",
        {"scaleToQueue": True},
        ("scaleToQueue = true", "idleStop is missing", 'config set idleStop "30 min"'),
    ),
    (
        "a head that stops after workers that stay",
        {"scaleToQueue": True, "idleStop": "30 min", "idleStopHead": True, "minWorkers": 1},
        ("minWorkers = 1", "the head stops after the last worker", "config set minWorkers 0"),
    ),
    (
        "a fallback without its unit",
        {"fallbackAfter": 10},
        (
            "fallbackAfter = '10'",
            "a time with its unit",
            "valid: 5 min to 24 h",
            'set fallbackAfter "10 min"',
        ),
    ),
    (
        "a fallback at once",
        {"fallbackAfter": "1 min"},
        ("fallbackAfter = '1 min'", "too short", "5 min to 24 h"),
    ),
    (
        "a fallback some day",
        {"fallbackAfter": "25 h"},
        ("fallbackAfter = '25 h'", "too long", "5 min to 24 h"),
    ),
    (
        "a fallback of workers that are on demand anyway",
        {"fallbackAfter": "10 min", "onDemandPercentage": 100},
        (
            "fallbackAfter = 10 min",
            "no worker is a spot instance (onDemandPercentage: 100)",
            "rm fallbackAfter",
        ),
    ),
    (
        "a fallback below a base of all workers",
        {"fallbackAfter": "10 min", "maxWorkers": 2, "onDemandBase": 2},
        ("fallbackAfter = 10 min", "(onDemandBase: 2, maxWorkers: 2)", "rm fallbackAfter"),
    ),
    (
        "fewer failures than none",
        {"maxJoinFailures": -1},
        ("maxJoinFailures = '-1'", "valid: 1 to 100; 0: replace them for ever", "set maxJoinFailures 3"),
    ),
    ("failures in words", {"maxJoinFailures": "few"}, ("maxJoinFailures = 'few'", "valid: 1 to 100")),
    ("too many failures", {"maxJoinFailures": 101}, ("maxJoinFailures = '101'", "valid: 1 to 100")),
    ("negative min", {"minWorkers": -1}, ("minWorkers = '-1'", "valid: 0 to workers")),
    (
        "type that the region lacks",
        {"instanceTypes": ["g4dn.xlarge", "g6.xlarge"]},
        (
            *(
                "instanceTypes[1] = g6.xlarge",
                "eu-west-1 does not offer it",
                "valid: g4dn.xlarge",
                "g5.xlarge",
            ),
            "--path 'instanceTypes[1]' g5.xlarge",
        ),
    ),
    (
        "type unknown",
        {"instanceTypes": ["g2.2xlarge"]},
        (
            f"it is not in our table of {DATE}; to add it, see the head of {regions.SHOWN}",
            "'instanceTypes[0]' g4dn.2xlarge",
        ),
    ),
    (
        "type not in these zones",
        {"region": "us-west-2", "zones": ["us-west-2d"], "instanceTypes": ["g5.xlarge"]},
        ("offered in us-west-2a, us-west-2b, us-west-2c, not in us-west-2d (zones)", "valid:", "g6.xlarge"),
    ),
    (
        "ARM among x86_64",
        {"region": "us-east-1", "instanceTypes": ["g4dn.xlarge", "g5g.xlarge"]},
        ("instanceTypes[1] = g5g.xlarge", "arm64", "x86_64", "valid:", "'instanceTypes[1]' g5.xlarge"),
    ),
    (
        "GPUs and none",
        {"instanceTypes": ["g4dn.xlarge", "g5.xlarge", "c6i.xlarge"]},
        ("g4dn.xlarge, g5.xlarge have GPUs", "c6i.xlarge have none", "valid: all with", "'instanceTypes[2]'"),
    ),
    (
        "different numbers of GPUs",
        {"instanceTypes": ["g5.12xlarge", "g5.48xlarge", "g4dn.12xlarge"]},
        (
            "instanceTypes[1] = g5.48xlarge",
            "it has 8 GPUs and g5.12xlarge, g4dn.12xlarge 4",
            "billed and stay idle; valid: types with 4",
            "config rm --path 'instanceTypes[1]'",
        ),
    ),
    (
        "twice the same type",
        {"instanceTypes": ["g5.xlarge", "g5.xlarge"]},
        ("instanceTypes[1] = g5.xlarge", "instanceTypes[0] already", "rm --path 'instanceTypes[1]'"),
    ),
    (
        "no types",
        {"instanceTypes": []},
        ("instanceTypes = []", "valid: m5.large", "--path 'instanceTypes[0]'"),
    ),
    ("types as text", {"instanceTypes": "g5.xlarge"}, ("it must be a list", "--path 'instanceTypes[0]'")),
    ("type as number", {"instanceTypes": [5]}, ("instanceTypes[0] = 5", "string", "valid: a list of types")),
    (
        "reservation in words",
        {"reservation": "mine"},
        ("reservation = 'mine'", "neither the id", "valid: cr-"),
    ),
    (
        "block by its own id",
        {"reservation": "cb-0123456789abcdef0"},
        ("a capacity block's own id", "set reservation cr-0123456789abcdef0"),
    ),
    (
        "spot instances in a reservation",
        {"reservation": "cr-0123456789abcdef0"},
        ("spot instances use no reservation", "valid: onDemandPercentage 100", "set onDemandPercentage 100"),
    ),
    (
        "reservation of several types",
        {"reservation": "cr-0123456789abcdef0", "onDemandPercentage": 100},
        ("instanceTypes = g4dn.xlarge, ", "is of one type", "set --path 'instanceTypes[0]' g4dn.xlarge"),
    ),
    (
        "reservation in several zones",
        {**RESERVED, "zones": ["eu-west-1a", "eu-west-1b"]},
        ("zones = eu-west-1a, eu-west-1b", "is in one zone", "valid: its zone"),
    ),
    (
        "reservations of another region",
        {**RESERVED, "reservation": RESERVATIONS.replace("eu-west-1", "us-east-1")},
        ("it is in us-east-1, and the stack in eu-west-1", "config rm reservation"),
    ),
    (
        "block without a reservation",
        {"capacityBlock": True},
        ("capacityBlock = true", "reservation is missing", "valid: both, or neither"),
    ),
    (
        "block of several",
        {**RESERVED, "reservation": RESERVATIONS, "capacityBlock": True},
        ("capacityBlock = true", "a resource group's ARN", "the id of the block's reservation"),
    ),
    (
        "block of a type that has none",
        {**RESERVED, "capacityBlock": True},
        ("AWS has no capacity blocks of g5.12xlarge", "config rm capacityBlock"),
    ),
    (
        "id of a reservation in capitals",
        {"reservation": "CR-0123456789ABCDEF0"},
        ("neither the id of a capacity reservation", "valid: cr- and 17 hexadecimal digits"),
    ),
    ("half an id", {"reservation": "cr-0123"}, ("reservation = 'cr-0123'", "neither the id")),
    (
        "ARN of something else",
        {"reservation": "arn:aws:ec2:eu-west-1:123456789012:capacity-reservation/cr-0123456789abcdef0"},
        ("neither the id", "the ARN of a resource group of reservations"),
    ),
    (
        "a share of spot in a reservation",
        {**RESERVED, "onDemandPercentage": 99},
        ("spot instances use no reservation", "set onDemandPercentage 100"),
    ),
    ("region of a government", {"region": "us-gov-west-1"}, (f"it is not in {TABLE}", "valid: af-south-1")),
    ("region of China", {"region": "cn-north-1"}, (f"it is not in {TABLE}", "valid: af-south-1")),
    (
        "region without a record",
        {"region": "ap-east-2"},
        ("what it offers is not known", "valid: af-south-1"),
    ),
    (
        "one GPU and eight of a family",
        {"region": "us-east-1", "instanceTypes": ["p5.4xlarge", "p5.48xlarge"]},
        ("instanceTypes[1] = p5.48xlarge", "it has 8 GPUs and p5.4xlarge 1", "valid: types with 1"),
    ),
    (
        "two GPUs and four of a size",
        {"region": "us-east-2", "instanceTypes": ["g5.12xlarge", "g7.12xlarge"]},
        ("instanceTypes[1] = g7.12xlarge", "it has 2 GPUs and g5.12xlarge 4"),
    ),
    (
        "head with eight GPUs",
        {"region": "us-east-1", "headType": "p5.48xlarge"},
        ("headType = p5.48xlarge", "it has 8 H100, which the head does not use", "valid: m5.large"),
    ),
    (
        "head of a zone that lacks it",
        {"region": "eu-south-2", "headType": "m6i.xlarge"},
        ("headType = m6i.xlarge", "eu-south-2a, where the head is", "valid: m5.large"),
    ),
    ("bare metal", {"instanceTypes": ["g4dn.metal"]}, (f"it is not in our table of {DATE}", "g4dn.xlarge")),
    ("family alone", {"instanceTypes": ["g5"]}, ("instanceTypes[0] = g5", "not in our table")),
    (
        "zone in which no P machine is",
        {"region": "us-east-1", "instanceTypes": ["p4d.24xlarge"], "zones": ["us-east-1d", "us-east-1e"]},
        ("zones[1] = us-east-1e", "offers none of p4d.24xlarge", "valid: us-east-1a"),
    ),
    (
        "EFA of the default types",
        {"efa": True},
        (
            "instanceTypes[0] = g4dn.xlarge",
            "it has no EFA (efa: true); valid: g4dn.8xlarge, ",
            "or efa false",
            "--path 'instanceTypes[0]' g4dn.8xlarge",
        ),
    ),
    (
        "EFA of a type without GPUs",
        {**EFA, "instanceTypes": ["c6i.4xlarge"]},
        ("instanceTypes[0] = c6i.4xlarge", "it has no EFA", "valid: g4dn.8xlarge"),
    ),
    (
        "EFA of one type of two",
        {**EFA, "instanceTypes": ["g5.8xlarge", "g5.4xlarge"]},
        ("instanceTypes[1] = g5.4xlarge", "it has no EFA", "--path 'instanceTypes[1]' g5.8xlarge"),
    ),
    (
        "different numbers of EFA interfaces",
        {"region": "us-east-1", "efa": True, "instanceTypes": ["p4d.24xlarge", "p5.48xlarge"]},
        (
            "instanceTypes[1] = p5.48xlarge",
            "it has 32 EFA interfaces and p4d.24xlarge 4",
            "valid: types with 4",
            "config rm --path 'instanceTypes[1]'",
        ),
    ),
    (
        "EFA in several zones",
        {**EFA, "zones": ["eu-west-1a", "eu-west-1b"]},
        (
            "zones = eu-west-1a, eu-west-1b",
            "EFA connects machines of one zone alone (efa: true); valid: one of them",
            "config rm --path 'zones[1]'",
        ),
    ),
    (
        "EFA in the default zones",
        {"efa": True, "instanceTypes": ["g5.8xlarge"]},
        (
            "zones = eu-west-1a, eu-west-1b, eu-west-1c",
            "of one zone",
            "config set --path 'zones[0]' eu-west-1a",
        ),
    ),
    (
        "EFA in a region without such types",
        {"region": "ca-west-1", "efa": True, "instanceTypes": ["c7i.4xlarge"], "zones": ["ca-west-1a"]},
        ("efa = true", "ca-west-1 offers no type with EFA; valid: false", "config rm efa"),
    ),
    (
        "EFA in a zone without such types",
        {"region": "af-south-1", "efa": True, "instanceTypes": ["c6i.xlarge"], "zones": ["af-south-1a"]},
        (
            "zones = af-south-1a",
            "no type with EFA (efa: true) is offered there; valid: af-south-1b, af-south-1c, or efa false",
            "--path 'zones[0]' af-south-1b",
        ),
    ),
    (
        "zone that has nothing for the head",
        {"region": "us-east-1", "instanceTypes": ["p5.48xlarge"], "zones": ["us-east-1e"]},
        (
            "zones[0] = us-east-1e",
            "the head is in it, and it offers no type without GPUs; valid: us-east-1a, ",
            "--path 'zones[0]' us-east-1a",
        ),
    ),
    (
        "placement group in several zones",
        {"placementGroup": True, "zones": ["eu-west-1b", "eu-west-1c"]},
        (
            "zones = eu-west-1b, eu-west-1c",
            "a cluster placement group is in one zone (placementGroup: true)",
            "config rm --path 'zones[1]'",
        ),
    ),
    (
        "placement group in the default zones",
        {"placementGroup": True, "region": "us-east-1", "instanceTypes": ["g5.xlarge", "gr6.4xlarge"]},
        ("is in one zone", "config set --path 'zones[0]' us-east-1a"),
    ),
    (
        "placement group of a capacity block",
        {
            **RESERVED,
            **CLOSE,
            "instanceTypes": ["p4d.24xlarge"],
            "zones": ["eu-west-1c"],
            "capacityBlock": True,
        },
        (
            "placementGroup = true",
            "close together without; valid: one of the two",
            "config rm placementGroup",
        ),
    ),
    (
        "placement group and a resource group of reservations",
        {**RESERVED, **CLOSE, "reservation": RESERVATIONS},
        ("placementGroup = true", "starts on demand beside them; valid: the id of one (cr-…)"),
    ),
    ("EFA in words", {"efa": "fast"}, ("efa = 'fast'", "valid: true, false")),
    (
        "placement group by its strategy",
        {"placementGroup": "cluster"},
        ("placementGroup = 'cluster'", "valid: true, false", "set placementGroup true"),
    ),
    ("EFA in another case", {"EFA": True}, ("caffe-spark:EFA", "unknown key", "efa")),
    ("block in words", {"capacityBlock": "maybe"}, ("capacityBlock = 'maybe'", "valid: true, false")),
    ("base", {"onDemandBase": 5}, ("onDemandBase = 5", "more than maxWorkers (4)", "valid: 0 to 4")),
    ("percentage", {"onDemandPercentage": 101}, ("onDemandPercentage = '101'", "valid: 0 to 100")),
    ("price in words", {"maxPrice": "cheap"}, ("maxPrice = 'cheap'", "plain number", "set maxPrice 0.80")),
    ("price with a currency", {"maxPrice": "$0.80"}, ("maxPrice = '$0.80'", "plain number, in USD")),
    ("price with a comma", {"maxPrice": "0,80"}, ("maxPrice = '0,80'", "plain number")),
    ("price as float", {"maxPrice": "8e-1"}, ("maxPrice = '8e-1'", "plain number")),
    ("no price", {"maxPrice": "NaN"}, ("maxPrice = 'NaN'", "valid: more than 0, e.g. 0.80")),
    ("negative price", {"maxPrice": "-0.80"}, ("maxPrice = '-0.80'", "plain number", "more than 0")),
    ("price of nothing", {"maxPrice": "0.00"}, ("maxPrice", "greater than 0", "valid: more than 0")),
    # storage and access
    ("force", {"forceDestroy": "yess"}, ("forceDestroy = 'yess'", "valid: true, false")),
    (
        "key pair alone",
        {"keyPair": "mine"},
        ("keyPair = mine", "privateKeyFile is missing", "or neither", "privateKeyFile ~"),
    ),
    (
        "key file alone",
        {"privateKeyFile": "~/k.pem"},
        ("privateKeyFile = ~/k.pem", "of eu-west-1", "keyPair NAME"),
    ),
    (
        "it is a public key",
        {"keyPair": "mine", "privateKeyFile": "~/.ssh/id.pub"},
        ("privateKeyFile = '~/.ssh/id.pub'", "it is a public key", "~/.ssh/KEY.pem"),
    ),
    # keys
    (
        "misspelt key",
        {"instanceType": ["g5.xlarge"]},
        ("instanceType: unknown key", "instanceTypes,"),
    ),
    (
        "snake case",
        {"max_price": "1"},
        ("max_price: unknown key", "maxPrice", "config rm max_price"),
    ),
    ("key of another provider", {"vcpu": 2}, ("vcpu: unknown key; valid keys: provider, region",)),
]


@pytest.mark.parametrize(
    ("values", "words"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_a_mistake_is_named_with_what_is_valid(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(**values)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("caffe-spark:")
    for word in (*words, "pulumi config", "--stack aws"):
        assert word in line, line
    assert any(word in line for word in ("valid: ", "valid keys: ", "only the providers")), line
