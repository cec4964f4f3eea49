"""State in a bucket, secrets under a KMS key, two checkouts: the real Pulumi CLI against moto's server.

The second checkout has another folder, no file of the first one's, and the same credentials.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from bootstrap.errors import StackError
from bootstrap.inventory.stack import load_cluster, stacks_up
from bootstrap.inventory.stack_secrets import stack_secrets
from tests.cloud.moto_server import moto_server
from tools.environment import ROOT, environment

REGION: Final = "eu-west-1"
PROVIDER = f"awskms://alias/caffe-spark-state?region={REGION}"
SECRET_SETTING = "the-setting-that-is-a-secret"
PROGRAM = """\
import json, pathlib, pulumi
document = json.loads(pathlib.Path(__file__).with_name("cluster.json").read_text())
for holder, key in ((document, "spark_secret"), (document["ssh"], "private_key")):
    holder[key] = pulumi.Output.secret(holder[key])
pulumi.export("cluster", document)
"""


@dataclass
class Checkout:
    """A checkout with a program that only exports the cluster."""

    root: Path
    env: dict[str, str]

    def pulumi(self, *arguments: str, refused: bool = False) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == refused, done.stdout + done.stderr
        return done.stdout + done.stderr


@dataclass
class Cloud:
    """A bucket and a key, and checkouts of two people."""

    url: str
    folder: Path
    document: dict[str, object]

    def checkout(self, name: str, **changes: str) -> Checkout:
        root = self.folder / name
        (root / "program").mkdir(parents=True)
        (root / "program" / "__main__.py").write_text(PROGRAM)
        (root / "program" / "cluster.json").write_text(json.dumps({**self.document, "stack": "aws"}))
        backend = f"s3://team-state?region={REGION}&endpoint={self.url}&s3ForcePathStyle=true"
        (root / "Pulumi.yaml").write_text(
            f"name: caffe-spark\nruntime: python\nmain: program/\nbackend:\n  url: {backend}\n"
        )
        given = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        for variable in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            given.pop(variable, None)
        given |= {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "PULUMI_HOME": str(root / "home"),
            **changes,
        }
        env = environment(root, given)
        # What a checkout has of its own: packages and the CLI.
        env["VIRTUAL_ENV"] = str(ROOT / ".venv")
        env["PULUMI_PYTHON_CMD"] = str(ROOT / "tools" / "pulumi-python")
        env["PATH"] = os.environ["PATH"]
        return Checkout(root, env)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an AWS with a bucket for states and a key for their secrets."""
    with moto_server() as url:
        rest: dict[str, Any] = {
            "endpoint_url": url,
            "region_name": REGION,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
        }
        boto3.client("s3", **rest).create_bucket(
            Bucket="team-state", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        kms = boto3.client("kms", **rest)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/caffe-spark-state", TargetKeyId=key)
        yield url


def test_a_second_checkout_sees_the_stack_and_its_secrets_under_a_key(
    server: str, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    cloud = Cloud(server, tmp_path, cluster_document)
    first = cloud.checkout("first")
    first.pulumi("stack", "init", "aws", "--secrets-provider", PROVIDER)
    first.pulumi("config", "set", "--secret", "key", SECRET_SETTING, "--stack", "aws")
    first.pulumi("up", "--yes", "--skip-preview", "--stack", "aws")
    second = cloud.checkout("second")

    found = load_cluster(second.root, "aws", second.env)

    assert found.ssh.private_key is not None
    assert (found.spark_secret.get_secret_value(), found.ssh.private_key.get_secret_value()) == (
        cluster_document["spark_secret"],
        "-----PRIVATE-----",
    )
    assert stacks_up(second.root, second.env) == {"aws"}
    # The stack's file is committed, so that both have it.
    file = (first.root / "Pulumi.aws.yaml").read_text()
    assert f"secretsprovider: {PROVIDER}" in file
    assert SECRET_SETTING not in file
    (second.root / "Pulumi.aws.yaml").write_text(file)
    assert {SECRET_SETTING, "not-to-be-seen", "-----PRIVATE-----"} <= set(
        stack_secrets(second.root, "aws", second.env)
    )
    second.pulumi("up", "--yes", "--skip-preview", "--stack", "aws")

    # Somebody's update is under way.
    taken = json.dumps(
        {"pid": 1, "username": "ana", "hostname": "laptop", "timestamp": "2026-11-30T10:00:00Z"}
    )
    lock = ".pulumi/locks/organization/caffe-spark/aws/0.json"
    rest: dict[str, Any] = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    s3 = boto3.client("s3", endpoint_url=server, region_name=REGION, **rest)
    s3.put_object(Bucket="team-state", Key=lock, Body=taken.encode())
    refused = second.pulumi("up", "--yes", "--skip-preview", "--stack", "aws", refused=True)
    assert "ana@laptop" in refused
    assert load_cluster(second.root, "aws", second.env).stack == "aws", "reading waits for nobody"
    second.pulumi("cancel", "--yes", "--stack", "aws")
    second.pulumi("destroy", "--yes", "--skip-preview", "--stack", "aws")


def test_a_wrong_and_a_missing_passphrase_are_one_line(
    server: str, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    cloud = Cloud(server, tmp_path, cluster_document)
    first = cloud.checkout("first", PULUMI_CONFIG_PASSPHRASE="the team's")
    first.pulumi("stack", "init", "by-passphrase")
    first.pulumi("up", "--yes", "--skip-preview", "--stack", "by-passphrase")
    for name, given, why in (
        ("wrong", {"PULUMI_CONFIG_PASSPHRASE": "another"}, "its secrets do not open with this passphrase"),
        ("missing", {}, "its secrets open with a passphrase, and none is set"),
    ):
        other = cloud.checkout(name, **given)
        with pytest.raises(StackError) as error:
            load_cluster(other.root, "by-passphrase", other.env)
        assert error.value.why == why
        assert len(str(error.value).splitlines()) == 1
    other = cloud.checkout("right", PULUMI_CONFIG_PASSPHRASE="the team's")
    assert load_cluster(other.root, "by-passphrase", other.env).stack == "aws"


def test_a_stack_without_a_choice_of_encryption_is_not_created_in_a_shared_state(
    server: str, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    checkout = Cloud(server, tmp_path, cluster_document).checkout("first")
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in checkout.env
    assert "passphrase must be set" in checkout.pulumi("stack", "init", "other", refused=True)


def test_a_backend_that_refuses_is_one_line(
    tmp_path: Path, server: str, cluster_document: dict[str, object]
) -> None:
    checkout = Cloud(server, tmp_path, cluster_document).checkout("first")
    checkout.env["PULUMI_BACKEND_URL"] = checkout.env["PULUMI_BACKEND_URL"].replace("team-state", "no-bucket")
    with pytest.raises(StackError) as error:
        load_cluster(checkout.root, "aws", checkout.env)
    assert len(str(error.value).splitlines()) == 1
    assert "NoSuchBucket" in str(error.value)
