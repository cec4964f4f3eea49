"""A stack that was made before modules moved, in Pulumi's real engine: nothing to change, then nothing left.

`recorded/checkpoint.json` is the state of `PROGRAM`, exported when each class was where it was first: every
kind of dynamic resource, made against moto and a podman that answers from files. Nothing here starts a node.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from tests.infra import engine
from tests.infra.aws.conftest import moto_server
from tests.infra.conftest import FAKE_PODMAN

__all__ = ["moto_server"]

CHECKPOINT = Path(__file__).parent / "recorded" / "checkpoint.json"
PROVIDERS = Path(__file__).parent / "recorded" / "providers.json"
REGION: Final = "eu-west-1"
BUCKET = "caffe-spark-x-1"
GROUP = "caffe-spark-x-workers"
CONFIG = """config:
  caffe-spark:headAmi: ami-0123456789abcdef0
  caffe-spark:workerAmi: ami-0123456789abcdef1
  caffe-spark:forceDestroy: true
"""
PROGRAM = """
from infra.aws.capacity import Capacity
from infra.aws.contents import BucketContents
from infra.aws.images import ImagePins
from infra.aws.upload import Upload
from infra.azure.contents import StorageContents
from infra.azure.secrets import GatewayPassword
from infra.keys import Secret, SshKey
from infra.local.image import BaseImage
from infra.local.network import EmbeddedNetwork, Leftovers
from infra.local.nodes import EmbeddedNode

labels = {"caffe-spark.project": "caffe-spark", "caffe-spark.stack": "x", "caffe-spark.home": "/home/x"}
operator, secret = SshKey("operator-key"), Secret("spark-secret")
SshKey("rsa-key", kind="rsa")
GatewayPassword("gateway-password")
Leftovers("leftovers", engine="podman", network="caffe-spark-x", labels=labels)
recipe = {"source": {"source": "mmdebstrap", "suite": "bookworm"}, "packages": ["systemd"], "mirrors": []}
tag = "localhost/caffe-spark-node:0123456789abcdef"
image = BaseImage("base-image", engine="podman", tag=tag, recipe=recipe)
network = EmbeddedNetwork(
    "network", engine="podman", network="caffe-spark-x", subnet="10.89.77.0/24", labels=labels
)
EmbeddedNode(
    "w1", stack="x", engine="podman", address="10.89.77.11", network=network.network, image=image.tag, vcpu=2,
    memory_mb=3072, authorized_key=operator.public_key, labels=labels,
)
BucketContents("bucket-contents", stack="x", region="eu-west-1", bucket="caffe-spark-x-1")
Upload("script", region="eu-west-1", bucket="caffe-spark-x-1", key="1.sh", content=secret.value)
ImagePins("images", stack="x", head="ami-0123456789abcdef0", worker="ami-0123456789abcdef1")
Capacity(
    "capacity",
    region="eu-west-1",
    group="caffe-spark-x-workers",
    arn="arn:1",
    min_size=0,
    max_size=4,
    desired_capacity=2,
)
StorageContents(
    "storage-contents",
    stack="x",
    part="cluster",
    account="caffesparkx",
    container="cluster",
    key="bm90IG9uZQ==",
)
"""
NO_NODES = """
import infra.local.nodes

infra.local.nodes._wait_until_ready = lambda *_: None
infra.local.nodes._lives = lambda *_: True
"""
"""For the engine's processes: the podman that answers from files boots nothing."""


def stack(folder: Path, moto: str) -> engine.Stack:
    """An empty stack of that program, with a cloud and a podman as the recorded one had them."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    cloud: dict[str, Any] = {
        "region_name": REGION,
        "endpoint_url": moto,
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
    }
    s3 = boto3.client("s3", **cloud)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    scaling = boto3.client("autoscaling", **cloud)
    scaling.create_launch_configuration(
        LaunchConfigurationName="x", ImageId="ami-12345678", InstanceType="t3.micro"
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchConfigurationName="x",
        MinSize=0,
        MaxSize=1,
        AvailabilityZones=[f"{REGION}a"],
    )
    fake, site = folder / "podman", folder / "site"
    fake.mkdir()
    site.mkdir()
    (fake / "podman").write_text(FAKE_PODMAN.format(folder=fake))
    (fake / "podman").chmod(0o755)
    labels = {"caffe-spark.project": "caffe-spark", "caffe-spark.stack": "x", "caffe-spark.home": "/home/x"}
    network = {"name": "caffe-spark-x", "subnets": [{"subnet": "10.89.77.0/24"}], "labels": labels}
    (fake / "networks.json").write_text(json.dumps([network]))
    (fake / "containers").touch()
    (fake / "image").touch()
    (site / "sitecustomize.py").write_text(NO_NODES)
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    return engine.stack(
        folder,
        PROGRAM,
        CONFIG,
        AWS_ENDPOINT_URL=moto,
        PATH=f"{fake}:{os.environ['PATH']}",
        PYTHONPATH=path,
        XDG_CACHE_HOME=str(folder / "cache"),
        **keys,
    )


LATER = {
    "infra.keys.SigningKeyPairProvider",
    "infra.local.firewall.FirewallProvider",
    "infra.aws.limits.LimitsProvider",
}
"""Providers that are younger than the record."""


def test_the_recorded_stack_has_a_resource_of_every_provider() -> None:
    resources = json.loads(CHECKPOINT.read_text())["deployment"]["resources"]
    stored = {one["outputs"]["__provider"] for one in resources if "__provider" in one.get("outputs", {})}
    known = json.loads(PROVIDERS.read_text()).items()
    assert stored == {one["provider"] for name, one in known if name not in LATER}


@pytest.mark.cluster
def test_todays_program_finds_nothing_to_change_and_destroy_leaves_nothing(
    tmp_path: Path, moto_server: str
) -> None:
    made = stack(tmp_path, moto_server)
    made.pulumi("stack", "import", "--file", str(CHECKPOINT))
    assert "15 unchanged" in made.up()
    # This cloud is a new one: the group has no size yet, and the bucket no script.
    refreshed = made.pulumi("refresh", "--yes", "--skip-preview")
    assert "1 updated" in refreshed
    assert "1 deleted" in refreshed
    healed = made.up()
    assert "1 created" in healed
    assert "1 updated" in healed
    assert "15 deleted" in made.pulumi("destroy", "--yes", "--skip-preview")
