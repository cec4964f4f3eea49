"""The same commands with an S3 bucket as shared storage, and machines that join by themselves.

Real: the nodes, Spark, Caffe, the S3 server (versitygw), the rendered scripts, the user data. Simulated: the
instance metadata service, cloud-init that runs the user data, the Auto Scaling service that hears of it, and
the Security Token Service, whose credentials are the S3 server's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bootstrap import paths
from bootstrap.cluster import AutoScalingGroup, Cluster, Node
from bootstrap.engine import facts
from bootstrap.engine.plan import order, plan_node
from bootstrap.engine.role import load_role
from bootstrap.inventory.autoscaling import Report
from bootstrap.join import user_data as boot
from bootstrap.ssh.remote import connect
from infra import tags
from infra.keys import SshKeyProvider
from infra.local import image, nodes
from infra.local.settings.config import DebstrapImage
from tests.cloud.machine import Machine
from tests.cloud.servers import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    ObjectStore,
    TokenService,
    object_store,
    scaling_service,
    token_service,
)
from tests.end_to_end.conftest import TEST_IMAGES, Said, Stack, results_of

pytestmark = pytest.mark.cluster

NAME = "e2e-s3"
SUBNET = "10.89.94.0/24"
GATEWAY, PORT = "10.89.94.1", 7070
BUCKET = "caffe-spark-e2e"
GROUP = "caffe-spark-e2e-workers"
ROLE_ID = "AROASTANDIN"
JOB_ROLE = "arn:aws:iam::000000000000:role/caffe-spark-e2e-job"


@pytest.fixture(scope="module")
def s3_stack(stack: Stack) -> Iterator[Stack]:
    """A stack whose shared storage is a bucket; framework and data come from the first one's caches."""
    mine = Stack(stack.folder, stack.env, name=NAME)
    mine.config.write_text(
        f"""config:
  caffe-spark:workers: 2
  caffe-spark:subnet: {SUBNET}
  caffe-spark:s3:
    endpoint: http://{GATEWAY}:{PORT}
    bucket: {BUCKET}
    region: {REGION}
    accessKey: {ACCESS_KEY}
"""
    )
    assert mine.pulumi("stack", "init").code == 0
    set_secret(mine, SECRET_KEY)
    said = mine.up()
    assert said.code == 0, said.output
    yield mine
    mine.pulumi("destroy", "--yes", "--skip-preview")
    mine.config.unlink()


def set_secret(stack: Stack, value: str) -> None:
    """The bucket's secret key, encrypted in the stack's file; it travels on standard input."""
    assert stack.pulumi("config", "set", "--secret", "s3SecretKey", stdin=value).code == 0


@pytest.fixture(scope="module")
def store(s3_stack: Stack) -> Iterator[ObjectStore]:
    """The server, on the nodes' own network; it could not listen there before the nodes were up."""
    with object_store(GATEWAY, PORT, s3_stack.folder / "objects", BUCKET) as server:
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
    with token_service(GATEWAY) as service:
        yield service


@pytest.fixture(scope="module")
def group_cluster(s3_stack: Stack, tokens: TokenService) -> Cluster:
    """The stack as if its workers were an Auto Scaling group, and machines had roles in place of keys."""
    cluster = s3_stack.cluster()
    own = {"access_key": None, "secret_key": None, "job_role": JOB_ROLE, "sts_endpoint": tokens.url}
    return cluster.model_copy(
        update={
            "members": AutoScalingGroup(name=GROUP, region=REGION, desired_capacity=1),
            "storage": cluster.storage.model_copy(update=own),
        }
    )


@pytest.fixture(scope="module")
def machine(s3_stack: Stack) -> Machine:
    """A bare node on the stack's network, with instance metadata; `pulumi destroy` removes it too."""
    labels = tags.labels(NAME, str(Path.cwd() / "infra"))
    host_key = SshKeyProvider().create({"purpose": "w3"}).outs
    cluster = s3_stack.cluster()
    address = SUBNET.replace("0/24", "13")
    container = tags.full_name(NAME, "w3")
    operator = s3_stack.on("head", "cat /etc/ssh/authorized_keys/ops").strip()
    with pytest.MonkeyPatch.context() as patch:
        # A machine of the cloud has a packet filter of its own; a node of an embedded stack needs none.
        flags = nodes.boot_flags
        patch.setattr(
            nodes,
            "boot_flags",
            lambda engine, container: (*flags(engine, container), "--cap-add=NET_ADMIN"),
        )
        nodes.NodeProvider().create(
            {
                "engine": "podman",
                "container": container,
                "hostname": "w3",
                "address": address,
                "network": tags.full_name(cluster.stack),
                "image": image.describe(DebstrapImage(source="mmdebstrap"))[0],
                "vcpu": 2,
                "memory_mb": 3072,
                "host_private_key": host_key["private_key"],
                "host_public_key": host_key["public_key"],
                "authorized_key": operator,
                "labels": labels,
            }
        )
    made = Machine(container, "i-0123456789abcdef0", address)
    made.gets_a_metadata_service()
    return made


def booting(cluster: Cluster, store: ObjectStore, scaling_url: str, *, sha256: str = "") -> str:
    """User data as the AWS stack writes it, and its script in the bucket as the stack puts it there."""
    script = boot.rendered(cluster, "worker", {"distribution": "debian-12"})
    own = hashlib.sha256(script.encode()).hexdigest()
    key = boot.script_key("worker", own)
    store.client().put_object(Bucket=BUCKET, Key=key, Body=script.encode())
    return boot.user_data(
        boot.Boot(
            role="worker",
            region=REGION,
            bucket=BUCKET,
            script_key=key,
            sha256=sha256 or own,
            ssh_user="ops",
            authorized_key="",
            signing_key=cluster.signing_key.public_key,
            role_id=ROLE_ID,
            autoscaling_group=GROUP,
            endpoint=store.endpoint,
            autoscaling_url=scaling_url,
        )
    )


def report_of(machine: Machine, store: ObjectStore) -> Report | None:
    """Return the machine's report."""
    file = store.folder / BUCKET / paths.NODES / f"{ROLE_ID}:{machine.instance}" / "node.json"
    return Report.model_validate_json(file.read_text()) if file.exists() else None


def says(machine: Machine, store: ObjectStore, *states: str) -> bool:
    report = report_of(machine, store)
    return report is not None and report.state in states


def master_lists(stack: Stack) -> dict[str, str]:
    """Spark's workers and their states."""
    shown = json.loads(stack.on("head", "curl -fsS --noproxy '*' http://head:8080/json/"))
    return {worker["host"]: worker["state"] for worker in shown["workers"]}


def assert_jobs_have_credentials_of_their_own(machine: Machine, tokens: TokenService) -> None:
    """The job user reaches storage, and neither it nor another user the machine's own credentials."""
    assert {(asked["RoleArn"], asked["RoleSessionName"]) for asked in tokens.asked} == {
        (JOB_ROLE, machine.instance)
    }
    service = "http://169.254.169.254/latest/meta-data/instance-id"
    for url, users in ((service, {"root"}), (paths.CREDENTIALS_URL, {"root", "spark", "hdfs"})):
        for user in ("root", "spark", "hdfs", "ops"):
            # The service wants a token; that it says so is an answer.
            shown = machine.run(
                f"runuser -u {user} -- curl -s --noproxy '*' --max-time 5 -o /dev/null "
                f"-w '%{{http_code}}' {url}"
            )
            assert (shown.strip() != "000") == (user in users), f"{user} at {url}: {shown}"
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


def test_a_machine_joins_by_itself_and_leaves_gracefully(
    s3_stack: Stack,
    trained_from_s3: Said,
    store: ObjectStore,
    group_cluster: Cluster,
    machine: Machine,
    tokens: TokenService,
) -> None:
    # As on an image of a cloud: pip has put packages there with which Caffe does not run.
    machine.run(
        "umask 022; folder=$(python3 -c 'import site; print(site.getsitepackages()[0])')\n"
        "for name in numpy google/protobuf; do\n"
        '  mkdir -p "$folder/$name"; echo "raise ImportError(1)" >"$folder/$name/__init__.py"\n'
        "done"
    )
    assert "ImportError: 1" in machine.run("cd /; python3 -c 'import numpy' 2>&1")
    with scaling_service(GATEWAY) as scaling:
        said = machine.run(booting(group_cluster, store, scaling.url))
        assert said.strip() == ""
        machine.wait_until(lambda: says(machine, store, "ready", "failed"), "the machine is ready")
        report = report_of(machine, store)
        assert report is not None
        assert report.state == "ready", report.said
        key = s3_stack.on("head", "basename $(readlink /opt/caffe)").strip()
        assert (report.name, report.address, report.framework) == ("w3", machine.address, key)
        machine.wait_until(lambda: bool(scaling.asked), "the launching hook is completed")
        (launched,) = scaling.asked
        assert launched["LifecycleHookName"] == boot.LAUNCH_HOOK
        assert (launched["InstanceId"], launched["LifecycleActionResult"]) == (machine.instance, "CONTINUE")
        assert launched["scope"].split("/")[2:] == [REGION, "autoscaling", "aws4_request"]
        assert master_lists(s3_stack)["w3"] == "ALIVE"
        imported = machine.run(
            f"PYTHONPATH={paths.CAFFE_HOME}/python GLOG_minloglevel=2 runuser -u spark -- "
            f"{paths.PYTHON} -c 'import caffe, caffe_allreduce; print(\"imported\")'"
        )
        assert "imported" in imported
        assert machine.run(f"cat {paths.RUN}/framework-tested").strip() == key

        # What it made of itself is what the operator's own commands would have made of it.
        node = Node(name=report.name, address=report.address, host_key=report.host_key)
        joined = group_cluster.model_copy(update={"workers": (node,)})
        planned = plan_node(order([load_role(name) for name in joined.roles]), joined, node, {})
        with connect(joined, node) as remote:
            held = facts.read(remote, planned).held
        assert [c.name for c, holds in zip(planned, held, strict=True) if not holds] == []

        assert_jobs_have_credentials_of_their_own(machine, tokens)

        # Two minutes' notice.
        machine.metadata["spot/instance-action"] = '{"action": "terminate", "time": "2026-11-24T12:00:00Z"}'
        machine.publish_metadata()
        machine.wait_until(lambda: len(scaling.asked) > 1, "the terminating hook is completed", 120)
        assert scaling.asked[1]["LifecycleHookName"] == boot.TERMINATE_HOOK
        left = report_of(machine, store)
        assert left is not None
        assert left.state == "left"
        assert "reclaims this spot instance" in left.said
        assert "CoarseGrainedExecutorBackend" not in machine.run("ps -eo args")


def test_a_script_with_another_sum_is_not_run(
    trained_from_s3: Said, store: ObjectStore, group_cluster: Cluster, machine: Machine
) -> None:
    with scaling_service(GATEWAY) as scaling:
        machine.run("systemctl stop caffe-spark-watch; rm -f /etc/caffe-spark/node")
        machine.metadata.pop("spot/instance-action", None)
        machine.publish_metadata()
        machine.run(booting(group_cluster, store, scaling.url, sha256="0" * 64))
        machine.wait_until(lambda: says(machine, store, "failed"), "the machine says that it failed", 60)
        report = report_of(machine, store)
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
