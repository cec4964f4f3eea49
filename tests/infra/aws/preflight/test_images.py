"""Images of the head and of workers: there, of one distribution, and of the shape that the stack takes."""

from __future__ import annotations

from typing import Any

import pytest

from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.images import Image, checks
from infra.aws.settings.config import AwsConfig
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import STACK, Account, answers, config

HEAD, WORKERS = "image of the head", "image of workers"
OURS = "ami-0123456789abcdef0"
JAMMY = "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260921"
NOBLE = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260918"


def asked(cloud: Cloud, stack: AwsConfig) -> dict[str, Finding]:
    return answers(checks(stack, STACK), cloud)


def image(name: str) -> Image:
    return Image(OURS, True, name, "x86_64", "available", "/dev/sda1", 8)


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        (JAMMY, "ubuntu-22.04"),
        (NOBLE, "ubuntu-24.04"),
        ("Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20260912", "ubuntu-22.04"),
        ("debian-12-amd64-20260901-2222", "debian-12"),
        ("Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023) 20260912", ""),
        ("our-workers-7", ""),
    ],
)
def test_an_images_name_says_its_distribution(name: str, distribution: str) -> None:
    assert image(name).distribution == distribution


@pytest.mark.parametrize("spark", ["3.5", "4.3"])
def test_the_newest_images_of_the_distribution_hold(spark: str, cloud: Cloud, account: Account) -> None:
    stack = config(spark=spark)
    account.has_newest_images(stack)
    found = asked(cloud, stack)
    assert {name: finding.verdict for name, finding in found.items()} == {HEAD: "passed", WORKERS: "passed"}
    assert found[WORKERS].detail.endswith("20260912), the newest")


def test_debian_holds_for_a_stack_without_gpus(cloud: Cloud, account: Account) -> None:
    stack = config(distribution="debian-12", instanceTypes=["c6i.xlarge"], adminCidrs=["203.0.113.7/32"])
    account.has_newest_images(stack)
    assert {finding.verdict for finding in asked(cloud, stack).values()} == {"passed"}


def test_an_image_of_another_region_is_named_with_this_one(cloud: Cloud, account: Account) -> None:
    account.has_newest_images(config())
    account.has_image(OURS, NOBLE, region="us-east-1")
    found = asked(cloud, config(headAmi=OURS))
    assert found[HEAD].failed
    assert found[HEAD].detail.startswith(f"{OURS} is not in eu-west-1")
    assert "`pulumi config rm headAmi --stack test`" in found[HEAD].fix
    assert found[WORKERS].verdict == "passed"


def test_an_image_that_was_withdrawn_is_not_there(cloud: Cloud, account: Account) -> None:
    account.answers["DescribeImages"] = lambda _: {"Images": []}
    assert "is not in eu-west-1" in asked(cloud, config(workerAmi=OURS))[WORKERS].detail


def test_a_region_without_the_parameter_wants_an_image_named(cloud: Cloud) -> None:
    found = asked(cloud, config())[WORKERS]
    assert found.failed
    assert "eu-west-1 has no parameter /aws/service/deeplearning/ami/x86_64/" in found.detail
    assert "pulumi config set workerAmi ami-… --stack test" in found.fix


def test_head_and_workers_of_two_distributions_are_refused_with_both_named(
    cloud: Cloud, account: Account
) -> None:
    account.has_newest_images(config())
    account.has_image(OURS, JAMMY)
    found = asked(cloud, config(headAmi=OURS))[HEAD]
    assert found.failed
    assert found.detail == (
        f"{OURS} ({JAMMY}) is ubuntu-22.04; distribution "
        "is ubuntu-24.04, and that of workers is ubuntu-24.04: ami-0bbbbbbbbbbbbbbbb (Deep Learning Base OSS "
        "Nvidia Driver GPU AMI (Ubuntu 24.04) 20260912)"
    )


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"arch": "arm64"}, "is arm64, and head and workers are x86_64"),
        ({"root": "/dev/xvda"}, "boots from /dev/xvda, and images of ubuntu-24.04 boot from /dev/sda1"),
    ],
)
def test_an_image_of_another_shape_is_refused(
    shape: dict[str, Any], words: str, cloud: Cloud, account: Account
) -> None:
    account.has_newest_images(config())
    account.has_image(OURS, NOBLE, **shape)
    found = asked(cloud, config(headAmi=OURS))[HEAD]
    assert found.failed
    assert words in found.detail


def test_an_image_whose_disk_is_larger_than_the_volume_is_refused(cloud: Cloud, account: Account) -> None:
    stack = config(workerVolumeGb=50)
    account.has_newest_images(stack)
    described = {
        "Name": "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20260912",
        "Architecture": "x86_64",
        "State": "available",
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 75}},
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
        ],
    }
    account.answers["DescribeImages"] = lambda _: {"Images": [described]}
    found = asked(cloud, stack)[WORKERS]
    assert "has 75 GB on its disk, and workerVolumeGb is 50" in found.detail
    assert found.fix == "Run `pulumi config set workerVolumeGb 75 --stack test`."


def test_an_image_that_is_disabled_is_refused(cloud: Cloud, account: Account) -> None:
    account.has_newest_images(config())
    account.has_image(OURS, NOBLE)
    account.client("ec2").disable_image(ImageId=OURS)
    assert "is disabled" in asked(cloud, config(headAmi=OURS))[HEAD].detail


def test_an_image_of_the_operators_own_is_taken_at_their_word(cloud: Cloud, account: Account) -> None:
    account.has_newest_images(config())
    account.has_image(OURS, "our-workers-7")
    found = asked(cloud, config(workerAmi=OURS))[WORKERS]
    assert found.verdict == "note"
    assert "does not say that it is ubuntu-24.04 and has NVIDIA's driver" in found.detail


def test_a_plain_image_for_workers_with_gpus_is_pointed_at(cloud: Cloud, account: Account) -> None:
    account.has_newest_images(config())
    account.has_image(OURS, NOBLE)
    found = asked(cloud, config(workerAmi=OURS))[WORKERS]
    assert found.verdict == "note"
    assert "does not say that it has NVIDIA's driver" in found.detail


def test_one_roles_failure_does_not_hide_the_other(cloud: Cloud, account: Account) -> None:
    account.has_newest_images(config())
    account.denies("GetParameter")
    account.has_image(OURS, NOBLE)
    found = asked(cloud, config(headAmi=OURS))
    assert found[HEAD].verdict == "passed"
    assert found[HEAD].detail.endswith(", pinned")
    assert found[WORKERS].failed
    assert "lack the permission GetParameter" in found[WORKERS].detail


def baked(spark: str, name: str) -> dict[str, Any]:
    tags = {"BaseImage": "ami-0bbbbbbbbbbbbbbbb", "Spark": spark, "Framework": "0123abcd"}
    return {
        "ImageId": OURS,
        "Name": name,
        "Architecture": "x86_64",
        "State": "available",
        "RootDeviceName": "/dev/sda1",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


@pytest.mark.parametrize(
    ("spark", "name", "verdict", "words"),
    [
        ("4.3", "ubuntu-24.04-nvidia-x", "passed", "another framework is fetched as a worker joins"),
        ("3.5", "ubuntu-24.04-nvidia-x", "note", "workers fetch Spark 4.3 as they join: `fab bake-image"),
        ("4.3", "ubuntu-24.04-x", "note", "made of a worker without NVIDIA's driver"),
        ("4.3", "ubuntu-22.04-nvidia-x", "failed", "is ubuntu-22.04; distribution is ubuntu-24.04"),
    ],
)
def test_a_baked_image_tells_what_is_in_it(
    cloud: Cloud, account: Account, spark: str, name: str, verdict: str, words: str
) -> None:
    account.answers["DescribeImages"] = lambda _: {"Images": [baked(spark, f"caffe-spark-worker-{name}")]}
    found = asked(cloud, config(headAmi=OURS, workerAmi=OURS))
    assert (found[WORKERS].verdict, words in found[WORKERS].detail) == (verdict, True)
    if verdict == "passed":
        assert (
            "baked from ami-0bbbbbbbbbbbbbbbb with Spark 4.3 and framework 0123abcd" in found[WORKERS].detail
        )
        assert "an image of a worker, of which a head needs little" in found[HEAD].detail
