"""The same commands with an S3 bucket as shared storage, and machines that join by themselves.

Real: the nodes, Spark, Caffe, the S3 server (versitygw), the rendered scripts, user data, cloud-init on the
machine of a baked image. Simulated: the instance metadata service, cloud-init that runs the first machine's
user data, the Auto Scaling service that hears of them, and the Security Token Service, whose credentials are
the S3 server's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.inventory.autoscaling import Report
from bootstrap.join import user_data as boot
from tests.cloud import cloud_init
from tests.cloud.bucket_stack import Place, bucket, bucket_stack, set_secret
from tests.cloud.joining import JOB_ROLE, METADATA_URL, Joining, as_group, identity_of, reach, steps_of
from tests.cloud.machine import ENGINE, Machine, base_image, made
from tests.cloud.servers import (
    REGION,
    SECRET_KEY,
    ObjectStore,
    ScalingService,
    TokenService,
    scaling_service,
    token_service,
)
from tests.end_to_end.conftest import TEST_IMAGES, Said, Stack, results_of

pytestmark = pytest.mark.cluster

BUCKET = "caffe-spark-e2e"
PLACE = Place(name="e2e-s3", subnet="10.89.94.0/24", port=7070, bucket=BUCKET)
BAKED = "localhost/caffe-spark-e2e:baked"


@pytest.fixture(scope="module")
def s3_stack(stack: Stack) -> Iterator[Stack]:
    """A stack whose shared storage is a bucket; framework and data come from the first one's caches."""
    with bucket_stack(stack, PLACE, workers=2) as mine:
        yield mine


@pytest.fixture(scope="module")
def store(s3_stack: Stack) -> Iterator[ObjectStore]:
    """The server, on the nodes' own network."""
    with bucket(s3_stack, PLACE) as server:
        yield server


@pytest.fixture(scope="module")
def trained_from_s3(s3_stack: Stack, store: ObjectStore) -> Said:
    """Provisioned, with the framework in the bucket, and a short job has run."""
    built = s3_stack.fab("build-headnode", timeout=2400)
    assert built.code == 0, built.output
    said = s3_stack.fab("submit-mnist", "--iterations", "300", timeout=900)
    assert said.code == 0, said.output
    return said


def test_a_job_trains_from_s3a_and_leaves_its_model_there(trained_from_s3: Said, store: ObjectStore) -> None:
    folder = results_of(trained_from_s3)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["samples"], summary["iterations"], summary["executors"]) == (TEST_IMAGES, 300, 2)
    assert summary["accuracy"] > 0.95, "300 iterations of 2 x 64 images reach 0.97"
    assert summary["model"].startswith(f"s3a://{BUCKET}/jobs/")
    objects = store.folder / BUCKET
    keys = {str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file()}
    assert f"jobs/{folder.name}/mnist.model" in keys
    assert "data/mnist/train_lmdb/data.mdb" in keys
    assert any(key.startswith("frameworks/caffe/") and key.endswith("/manifest.json") for key in keys)


def test_no_hdfs_runs_and_doctor_finds_nothing_wrong(s3_stack: Stack, trained_from_s3: Said) -> None:
    for node in ("head", "w1", "w2"):
        assert "org.apache.hadoop.hdfs.server" not in s3_stack.on(node, "ps -eo args")
    said = s3_stack.fab("doctor")
    assert said.code == 0, said.output


def test_the_buckets_key_is_nowhere_to_be_seen(s3_stack: Stack, trained_from_s3: Said) -> None:
    for node in ("head", "w1", "w2"):
        assert SECRET_KEY not in s3_stack.on(node, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        mode = s3_stack.on(node, f"stat -c '%a %U:%G' {paths.HADOOP_CONF}/s3a-keys.xml")
        assert mode.strip() == "640 root:caffe-spark"
    assert SECRET_KEY not in trained_from_s3.output
    assert SECRET_KEY not in s3_stack.config.read_text()
    assert SECRET_KEY not in "".join(p.read_text() for p in (s3_stack.folder / "state").rglob("*.json"))


# ---- a machine that nobody has named


@pytest.fixture(scope="module")
def tokens(s3_stack: Stack) -> Iterator[TokenService]:
    """The service, on the nodes' own network."""
    with token_service(PLACE.gateway) as service:
        yield service


@pytest.fixture(scope="module")
def group_cluster(s3_stack: Stack, tokens: TokenService) -> Cluster:
    """The stack as if its workers were an Auto Scaling group."""
    return as_group(s3_stack.cluster(), tokens)


@pytest.fixture(scope="module")
def scaling(s3_stack: Stack) -> Iterator[ScalingService]:
    """The service that hears of the machines."""
    with scaling_service(PLACE.gateway) as service:
        yield service


@pytest.fixture(scope="module")
def joining(
    trained_from_s3: Said, group_cluster: Cluster, store: ObjectStore, scaling: ScalingService
) -> Joining:
    """What machines need to join the stack."""
    return Joining(group_cluster, store, scaling)


@pytest.fixture(scope="module")
def machine(group_cluster: Cluster) -> Machine:
    """A bare node on the stack's network, with instance metadata; `pulumi destroy` removes it too."""
    one = made(group_cluster, "first-machine", "i-0123456789abcdef0", 13, image=base_image(), bare=True)
    one.start()
    one.gets_a_metadata_service()
    return one


@pytest.fixture(scope="module")
def joined(joining: Joining, machine: Machine) -> Report:
    """The machine has joined, by its user data."""
    # As on an image of a cloud: pip has put packages there with which Caffe does not run.
    machine.run(
        "umask 022; folder=$(python3 -c 'import site; print(site.getsitepackages()[0])')\n"
        "for name in numpy google/protobuf; do\n"
        '  mkdir -p "$folder/$name"; echo "raise ImportError(1)" >"$folder/$name/__init__.py"\n'
        "done"
    )
    assert "ImportError: 1" in machine.run("cd /; python3 -c 'import numpy' 2>&1")
    said = machine.run(joining.user_data())
    assert said.strip() == ""
    return joining.joined(machine)


def assert_jobs_have_credentials_of_their_own(machine: Machine, tokens: TokenService) -> None:
    """The job user reaches storage, and neither it nor another user the machine's own credentials."""
    assert {(asked["RoleArn"], asked["RoleSessionName"]) for asked in tokens.asked} == {
        (JOB_ROLE, machine.instance)
    }
    assert reach(machine, METADATA_URL) == {"root"}
    assert reach(machine, paths.CREDENTIALS_URL) == {"root", "spark", "hdfs"}
    listed = machine.run(
        f"cd /; runuser -u spark -- env -i {paths.HDFS} dfs -ls s3a://{BUCKET}/frameworks 2>&1"
    )
    assert f"s3a://{BUCKET}/frameworks/caffe" in listed
    pid = "$(pgrep -u spark -f org.apache.spark.deploy.worker.Worker)"
    # Root of a node may not look into other users' processes; the engine may.
    environment = machine.run(f"tr '\\0' '\\n' </proc/{pid}/environ", privileged=True)
    assert f"AWS_CONTAINER_CREDENTIALS_FULL_URI={paths.CREDENTIALS_URL}" in environment.splitlines()
    assert SECRET_KEY not in environment
    # Without the endpoint there is nothing to fall back to; the machine's own keys would open the bucket.
    machine.run("systemctl stop caffe-spark-credentials")
    refused = machine.run(
        f"cd /; timeout 180 runuser -u spark -- {paths.HDFS} dfs -ls s3a://{BUCKET}/frameworks 2>&1"
    )
    machine.run("systemctl start caffe-spark-credentials")
    assert f"s3a://{BUCKET}/frameworks/caffe" not in refused


def test_a_machine_joins_by_itself(
    joining: Joining, joined: Report, machine: Machine, scaling: ScalingService, tokens: TokenService
) -> None:
    machine.wait_until(lambda: bool(scaling.asked), "the launching hook is completed")
    (launched,) = scaling.asked
    assert launched["LifecycleHookName"] == boot.LAUNCH_HOOK
    assert (launched["InstanceId"], launched["LifecycleActionResult"]) == (machine.instance, "CONTINUE")
    assert launched["scope"].split("/")[2:] == [REGION, "autoscaling", "aws4_request"]
    # What it made of itself is what the operator's own commands would have made of it.
    assert joining.faults(machine, joined) == []
    assert machine.run(f"cat {paths.RUN}/framework-tested").strip() == joined.framework
    assert_jobs_have_credentials_of_their_own(machine, tokens)


@pytest.fixture(scope="module")
def baked(joining: Joining, joined: Report, machine: Machine) -> Iterator[list[str]]:
    """An image of the machine, as `fab bake-image` makes it; files in it that tell of the machine."""
    cloud_init.install(machine)
    identity = identity_of(joining, machine)
    cloud_init.remove_identity(joining, machine)
    cloud_init.image_of(machine, BAKED)
    yield cloud_init.files_with(BAKED, identity)
    ENGINE.run("rmi", "--force", "--ignore", BAKED)


def test_a_machine_of_a_baked_image_joins_under_its_own_name(
    joining: Joining, joined: Report, baked: list[str]
) -> None:
    assert baked == [], "the image tells of the machine that it was made of"
    other = made(joining.cluster, "other-machine", "i-0123456789abcdef1", 14, image=BAKED, bare=False)
    try:
        cloud_init.give(other, joining.user_data())
        other.start()
        report = joining.joined(other)
        assert joining.faults(other, report) == []
        assert report.host_key != joined.host_key
        ran = {step.name for step in steps_of(other) if step.changed}
        assert not ran & {"Install Java and Python", "Unpack pyspark", "Fetch and unpack Caffe"}
    finally:
        ENGINE.remove_containers(other.container)


def test_the_machine_of_the_image_joins_again_as_a_new_one(
    joining: Joining, joined: Report, baked: list[str], machine: Machine
) -> None:
    cloud_init.give(machine, joining.user_data())
    joining.forget(machine)
    machine.start()
    report = joining.joined(machine)
    assert (report.name, report.framework) == (joined.name, joined.framework)
    assert report.host_key != joined.host_key


def test_a_machine_leaves_gracefully(
    joining: Joining, joined: Report, machine: Machine, scaling: ScalingService
) -> None:
    machine.metadata["spot/instance-action"] = '{"action": "terminate", "time": "2026-11-24T12:00:00Z"}'
    machine.publish_metadata()
    machine.wait_until(
        lambda: scaling.asked[-1]["LifecycleHookName"] == boot.TERMINATE_HOOK,
        "the terminating hook is completed",
        120,
    )
    machine.wait_until(lambda: joining.says(machine, "left"), "it has left", 60)
    report = joining.report(machine)
    assert report is not None
    assert "reclaims this spot instance" in report.said
    assert "CoarseGrainedExecutorBackend" not in machine.run("ps -eo args")


def test_a_script_with_another_sum_is_not_run(joining: Joining, joined: Report, machine: Machine) -> None:
    with scaling_service(PLACE.gateway) as scaling:
        machine.run("systemctl stop caffe-spark-watch; rm -f /etc/caffe-spark/node")
        machine.metadata.pop("spot/instance-action", None)
        machine.publish_metadata()
        other = replace(joining, scaling=scaling)
        machine.run(other.user_data(sha256="0" * 64))
        machine.wait_until(lambda: other.says(machine, "failed"), "the machine says that it failed", 60)
        report = other.report(machine)
        assert report is not None
        assert "expected 0000" in report.said
        assert "it is not run" in report.said
        assert scaling.asked == [], "it does not go into service"
        assert machine.run("ls /etc/caffe-spark/node 2>&1").strip().endswith("No such file or directory")
        machine.run("systemctl stop caffe-spark-boot")


# ---- refusals


def test_a_wrong_key_is_one_line(s3_stack: Stack, trained_from_s3: Said) -> None:
    set_secret(s3_stack, "not-the-secret")
    try:
        assert s3_stack.up().code == 0
        said = s3_stack.fab("submit-mnist", "--iterations", "10")
    finally:
        set_secret(s3_stack, SECRET_KEY)
        s3_stack.up()
        s3_stack.fab("bootstrap")
    assert said.code == 1, said.output
    assert "Traceback" not in said.output
    assert f"s3a://{BUCKET}" in said.last
    assert "the key is wrong" in " ".join(said.output.split())


def test_destroy_leaves_the_bucket_and_nothing_else(
    s3_stack: Stack, store: ObjectStore, machine: Machine
) -> None:
    said = s3_stack.pulumi("destroy", "--yes", "--skip-preview")
    assert said.code == 0, said.output
    assert machine.run("true") != "", "the machine that joined by itself is gone with the stack"
    assert any((store.folder / BUCKET / "jobs").iterdir())


def test_secrets_of_the_document_do_not_print(group_cluster: Cluster) -> None:
    assert isinstance(group_cluster.spark_secret, SecretStr)
    assert group_cluster.spark_secret.get_secret_value() not in repr(group_cluster)
