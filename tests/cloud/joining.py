"""Machines that join a local stack by themselves, as members of an Auto Scaling group.

Real: the user data, the rendered script, the boot program, the S3 server. Simulated: the Auto Scaling service
that hears of them, and the Security Token Service, whose credentials are the S3 server's own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap import paths
from bootstrap.cluster import AutoScalingGroup, Cluster, Node
from bootstrap.engine import facts
from bootstrap.engine.plan import order, plan_node
from bootstrap.engine.role import load_role
from bootstrap.inventory.autoscaling import Report
from bootstrap.join import user_data as boot
from bootstrap.ssh.remote import connect
from infra import tags
from infra.local.node_spec import USER
from tests.cloud.machine import Machine
from tests.cloud.servers import REGION, SECRET_KEY, ObjectStore, ScalingService, TokenService

GROUP = "caffe-spark-e2e-workers"
ROLE_ID = "AROASTANDIN"
JOB_ROLE = "arn:aws:iam::000000000000:role/caffe-spark-e2e-job"
METADATA_URL = f"{boot.METADATA}/latest/meta-data/instance-id"
USERS = ("root", paths.JOB_USER, paths.HDFS_USER, USER)
STEP = re.compile(
    r"^step \d+/\d+ (?P<role>\w+): (?P<step>.+): (?P<outcome>ok|changed) \((?P<s>\d+) s\)$", re.M
)


def as_group(cluster: Cluster, tokens: TokenService) -> Cluster:
    """Return a stack as if its workers were an Auto Scaling group, and machines had roles for keys."""
    own = {"access_key": None, "secret_key": None, "job_role": JOB_ROLE, "sts_endpoint": tokens.url}
    return cluster.model_copy(
        update={
            "members": AutoScalingGroup(name=GROUP, region=REGION, desired_capacity=1),
            "storage": cluster.storage.model_copy(update=own),
        }
    )


@dataclass(frozen=True)
class Step:
    """A step of a machine's own provisioning; `seconds` are whole ones."""

    role: str
    name: str
    changed: bool
    seconds: int


@dataclass(frozen=True)
class Joining:
    """A stack of `as_group` with what its machines reach."""

    cluster: Cluster
    store: ObjectStore
    scaling: ScalingService

    def user_data(self, *, sha256: str = "") -> str:
        """Return user data as the AWS stack writes it; their script is in the bucket, where that puts it."""
        script = boot.rendered(self.cluster, "worker", {"distribution": "debian-12"})
        own = hashlib.sha256(script.encode()).hexdigest()
        key = boot.script_key("worker", own)
        self.store.client().put_object(Bucket=self.store.bucket, Key=key, Body=script.encode())
        return boot.user_data(
            boot.Boot(
                role="worker",
                region=REGION,
                bucket=self.store.bucket,
                script_key=key,
                sha256=sha256 or own,
                ssh_user=USER,
                authorized_key="",
                signing_key=self.cluster.signing_key.public_key,
                role_id=ROLE_ID,
                autoscaling_group=GROUP,
                endpoint=self.store.endpoint,
                autoscaling_url=self.scaling.url,
            )
        )

    def file(self, machine: Machine) -> Path:
        """Return where the S3 server keeps the machine's report."""
        own = f"{ROLE_ID}:{machine.instance}"
        return self.store.folder / self.store.bucket / paths.NODES / own / "node.json"

    def report(self, machine: Machine) -> Report | None:
        """Return the machine's report."""
        file = self.file(machine)
        return Report.model_validate_json(file.read_text()) if file.exists() else None

    def says(self, machine: Machine, *states: str) -> bool:
        """Return whether the machine is in one of these states, by its report."""
        report = self.report(machine)
        return report is not None and report.state in states

    def joined(self, machine: Machine, seconds: float = 600) -> Report:
        """Wait until the machine is ready; return its report."""
        machine.wait_until(lambda: self.says(machine, "ready", "failed"), "the machine is ready", seconds)
        report = self.report(machine)
        assert report is not None
        assert report.state == "ready", report.said
        return report

    def forget(self, machine: Machine) -> None:
        """Remove the report of an earlier boot."""
        self.file(machine).unlink(missing_ok=True)

    def node(self, report: Report) -> tuple[Cluster, Node]:
        """Return the machine as a worker of the stack."""
        node = Node(name=report.name, address=report.address, host_key=report.host_key)
        return self.cluster.model_copy(update={"workers": (node,)}), node

    def unmet(self, report: Report) -> list[str]:
        """Return the steps that the operator's own commands would still run on the machine."""
        joined, node = self.node(report)
        planned = plan_node(order([load_role(name) for name in joined.roles]), joined, node, {})
        with connect(joined, node) as remote:
            held = facts.read(remote, planned).held
        return [c.name for c, holds in zip(planned, held, strict=True) if not holds]

    def faults(self, machine: Machine, report: Report) -> list[str]:
        """Return what the machine lacks of a node of the stack under its own name; empty: it is one."""
        head = Machine("", tags.full_name(self.cluster.stack, self.cluster.head.name), "", "")
        framework = head.run(f"basename $(readlink {paths.CAFFE_HOME})").strip()
        key = " ".join(machine.run("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        shown = machine.run(f"cat {paths.IDENTITY}").split()
        holds = {
            "its report has its name and address": (report.name, report.address)
            == (machine.name, machine.address),
            "its report has the head's framework": report.framework == framework,
            "its report has its host key": report.host_key == key,
            "it knows its name": shown == [f"NODE_NAME={machine.name}", f"NODE_ADDRESS={machine.address}"],
            "it has a machine id": len(machine.run("cat /etc/machine-id").strip()) == 32,
            "Spark lists it": machine.name in workers_of(head),
            "Python imports Caffe": imports_caffe(machine),
            "jobs do not reach instance metadata": reach(machine, METADATA_URL) == {"root"},
        }
        unmet = [f"step {name!r} has nothing to do" for name in self.unmet(report)]
        return [name for name, held in holds.items() if not held] + unmet


def workers_of(head: Machine) -> set[str]:
    """Return the hosts of Spark's workers; a host may have had others, which the master remembers."""
    shown = json.loads(head.run("curl -fsS --noproxy '*' http://head:8080/json/"))
    return {worker["host"] for worker in shown["workers"] if worker["state"] == "ALIVE"}


def reach(machine: Machine, url: str) -> set[str]:
    """Return which of the machine's users get an answer there; that it wants a token is one."""
    ask = f"curl -s --noproxy '*' --max-time 5 -o /dev/null -w '%{{http_code}}' {url}"
    return {user for user in USERS if machine.run(f"runuser -u {user} -- {ask}").strip() != "000"}


def identity_of(joining: Joining, machine: Machine) -> list[str]:
    """Return words that no image of a joined machine may have: what tells the machine, and secrets."""
    key = machine.run("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    private = machine.run("sed -n 2p /etc/ssh/ssh_host_ed25519_key").strip()
    machine_id = machine.run("cat /etc/machine-id").strip()
    secret = joining.cluster.spark_secret.get_secret_value()
    words = [machine.name, machine.address, machine.instance, key, private, machine_id, secret, SECRET_KEY]
    assert all(words), "each line that is empty would be in every file"
    return words


def imports_caffe(machine: Machine) -> bool:
    """Return whether jobs' Python imports Caffe on the machine."""
    imported = machine.run(
        f"cd /; PYTHONPATH={paths.CAFFE_HOME}/python GLOG_minloglevel=2 runuser -u {paths.JOB_USER} -- "
        f"{paths.PYTHON} -c 'import caffe, caffe_allreduce; print(\"imported\")'"
    )
    return "imported" in imported


def steps_of(machine: Machine) -> Sequence[Step]:
    """Return the steps of the machine's own provisioning, by its log."""
    log = machine.run("cat /var/log/caffe-spark-boot.log")
    return [
        Step(found["role"], found["step"], found["outcome"] == "changed", int(found["s"]))
        for found in STEP.finditer(log)
    ]
