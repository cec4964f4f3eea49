"""Role `spending` on a real node, which asks an AWS account of moto's: it stops the group at its budget.

Simulated: the account, the group's machines and the metadata service. The role, its unit and its requests
over HTTP are real.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import S3, AutoScalingGroup, Cluster, NodePrice, Prices
from bootstrap.engine.execute import apply
from bootstrap.inventory.account import Account
from bootstrap.ssh.remote import Remote, connect
from tests.bootstrap.nodes import container_of
from tests.cloud.machine import Machine
from tests.cloud.moto_server import moto_server
from tests.cloud.servers import REGION

pytestmark = pytest.mark.cluster

GROUP, BUCKET = "caffe-spark-x-workers", "caffe-spark-x"
ON_DEMAND = "on-demand"
PRICES = Prices(
    nodes=(
        NodePrice(role="head", type="m6i.xlarge", low=Decimal("0.20"), high=Decimal("0.20")),
        NodePrice(
            role="worker", type="g4dn.xlarge", market=ON_DEMAND, low=Decimal("0.5"), high=Decimal("0.5")
        ),
    ),
    source="a table",
)
ACCOUNT = f"{paths.STATE}/spending.json"


@pytest.fixture
def url(real_cluster: Cluster) -> Iterator[str]:
    """An empty account, on the address by which nodes reach this machine."""
    gateway = str(ip_network(f"{real_cluster.head.address}/24", strict=False)[1])
    with moto_server(gateway) as url:
        yield url


@pytest.fixture
def ask(url: str) -> Callable[[str], Any]:
    """Clients of the account."""
    session: Any = boto3.Session("testing", "testing", region_name=REGION)
    return lambda service: session.client(service, endpoint_url=url)


def limit(ask: Callable[[str], Any], **limits: str) -> None:
    """Write the file that `pulumi up` writes."""
    content = {
        "version": 1,
        "stack": "x",
        "prices": PRICES.model_dump(mode="json"),
        "limits": limits or None,
        "max_join_failures": 3,
        "worker_role": "AROA",
        "on_demand_base": 0,
        "on_demand_percentage": 0,
        "fallback_seconds": None,
        "idle_workers": 0,
    }
    ask("s3").put_object(Bucket=BUCKET, Key=paths.LIMITS, Body=json.dumps(content).encode())


def grouped(ask: Callable[[str], Any]) -> None:
    """Make the bucket, and the group with its workers."""
    ask("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    ec2 = ask("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "g4dn.xlarge"}
    ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=data)
    template = {"LaunchTemplateSpecification": {"LaunchTemplateName": "workers", "Version": "$Latest"}}
    ask("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=2,
        AvailabilityZones=[f"{REGION}a"],
        MixedInstancesPolicy={"LaunchTemplate": template, "InstancesDistribution": {}},
    )


def sized(ask: Callable[[str], Any]) -> int:
    (found,) = ask("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return int(found["DesiredCapacity"])


def kept(head: Remote) -> Account | None:
    text = head.run(f"cat {ACCOUNT} 2>/dev/null", check=False).stdout
    return Account.model_validate_json(text) if text.strip() else None


def until(holds: Callable[[], object], head: Remote) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(head.run("journalctl -u caffe-spark-spending -n 30 --no-pager").stdout)
        time.sleep(0.5)


def test_the_heads_account_counts_the_group_and_stops_it_when_its_budget_is_spent(
    real_cluster: Cluster, url: str, ask: Callable[[str], Any], tmp_path: Path
) -> None:
    grouped(ask)
    limit(ask)
    container, address = container_of(real_cluster, "head"), real_cluster.head.address
    machine = Machine("head", container, "i-0123456789abcdef0", address)
    machine.gets_a_metadata_service()
    cluster = real_cluster.model_copy(
        update={
            "members": AutoScalingGroup(name=GROUP, region=REGION, desired_capacity=2, watched=True),
            "storage": S3(uri=f"s3a://{BUCKET}", endpoint=url, region=REGION),
        }
    )
    console = Console(file=io.StringIO())

    def applied() -> int:
        recap = apply(cluster, ["spending"], given={"services": url}, console=console, logs=tmp_path / "logs")
        return sum(node.changed for node in recap.nodes)

    assert applied() > 0
    assert applied() == 0
    with connect(cluster, cluster.head) as head:
        until(lambda: kept(head), head)
        first = kept(head)
        assert first is not None
        assert (first.state, first.missing) == ("running", ())
        # moto's groups start their machines on demand.
        assert first.hourly == Decimal("0.20") + 2 * Decimal("0.5")
        assert sized(ask) == 2

        limit(ask, total="0.000001")
        head.run("systemctl restart caffe-spark-spending")
        until(lambda: sized(ask) == 0, head)
        until(lambda: (kept(head) or first).state == "stopped", head)
        ended = kept(head)
        assert ended is not None
        assert "0.000001" in ended.said
