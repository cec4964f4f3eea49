"""Members of an HDInsight cluster: Azure's list, simulated, and reports on a real blob server."""

from __future__ import annotations

import itertools
import json

import pytest
from pydantic import SecretStr
from rich.console import Console

from bootstrap.cluster import Blob, Cluster, ClusterDocument
from bootstrap.errors import ConfigError, StackError
from bootstrap.inventory import resolve as discover
from bootstrap.inventory.hdinsight import LONGEST, Host, Report, completed, resolve_hosts
from tests.bootstrap.hdinsight_cluster import arm, hdinsight
from tests.cloud.arm import GROUP, NAME, Arm
from tests.cloud.blob_server import ACCOUNT, ACCOUNT_KEY, BlobServer
from tests.conftest import HOST_KEY

__all__ = ["arm", "hdinsight"]

NAMES = itertools.count(1)
LONG = "vdmm42sixvlunhg05pv0mmklvg.ax.internal.cloudapp.net"


def host(name: str) -> Host:
    return Host(name, f"{name}.{LONG}")


def report(name: str, address: str = "10.50.0.9") -> Report:
    return Report(name=name, address=address, host_key=HOST_KEY)


class Storage:
    """The cluster's shared storage, to which nodes report."""

    def __init__(self, cluster: ClusterDocument, server: BlobServer) -> None:
        container = f"cluster-{next(NAMES)}"
        self.client = server.container(container)
        uri = f"wasb://{container}@{ACCOUNT}.blob.core.windows.net"
        access = Blob(uri=uri, key=SecretStr(ACCOUNT_KEY), server=server.server)
        self.cluster = cluster.model_copy(update={"storage": access})

    def says(self, file: str, text: str) -> None:
        self.client.upload_blob(f"cluster/nodes/{file}.json", text, overwrite=True)

    def node(self, name: str, address: str, file: str | None = None) -> None:
        self.says(file or name, json.dumps({"name": name, "address": address, "host_key": HOST_KEY}))


@pytest.fixture
def storage(hdinsight: ClusterDocument, arm: Arm, azurite: BlobServer) -> Storage:
    """Shared storage with a report of every required node."""
    made = Storage(hdinsight, azurite)
    for number, name in enumerate(("hn0-caffew", "hn1-caffew", "wn0-caffew", "wn1-caffew", "wn3-caffew")):
        made.node(name, f"10.50.0.{10 + number}")
    return made


# ---- end to end


def test_head_and_workers_are_the_current_ones(storage: Storage) -> None:
    found = discover.resolve(storage.cluster, Console())
    assert [node.name for node in found.workers] == ["wn0-caffew", "wn1-caffew", "wn3-caffew"]
    assert [node.address for node in found.workers] == ["10.50.0.12", "10.50.0.13", "10.50.0.14"]
    assert {node.host_key for node in found.nodes} == {HOST_KEY}
    assert found.head.name == "hn0-caffew"
    assert found.ssh.jump, "workers are reached through the head"


def test_the_head_is_reached_by_the_clusters_ssh_name_and_known_inside_by_its_address(
    storage: Storage,
) -> None:
    head = resolve_hosts(storage.cluster).head
    assert head.ssh_target == f"{NAME}-ssh.azurehdinsight.net"
    assert head.address == "10.50.0.10"
    assert resolve_hosts(resolve_hosts(storage.cluster)).head == head


def test_a_worker_that_joined_is_included_and_one_that_left_is_not(storage: Storage, arm: Arm) -> None:
    arm.hosts.remove("wn1-caffew")
    arm.hosts.append("wn10-caffew")
    storage.node("wn10-caffew", "10.50.0.30")
    names = [node.name for node in resolve_hosts(storage.cluster).workers]
    assert names == ["wn0-caffew", "wn3-caffew", "wn10-caffew"]


def test_a_node_may_report_by_its_fqdn(storage: Storage, arm: Arm) -> None:
    arm.hosts.append("wn4-caffew")
    storage.node("wn4-caffew", "10.50.0.40", file=f"wn4-caffew.{LONG}")
    assert resolve_hosts(storage.cluster).node("wn4-caffew").address == "10.50.0.40"


def test_workers_that_have_not_reported_are_named_and_left_out(storage: Storage, arm: Arm) -> None:
    arm.hosts += ["wn4-caffew", "wn5-caffew"]
    storage.says("wn5-caffew", '{"name": "wn5-caf')
    lines = list[str]()
    names = {node.name for node in resolve_hosts(storage.cluster, lines.append).workers}
    assert names
    assert not {"wn4-caffew", "wn5-caffew"} & names
    (line,) = lines
    assert line.startswith("wn4-caffew, wn5-caffew not reported yet, left out")


def test_a_report_that_is_longer_than_a_nodes_counts_as_none(storage: Storage) -> None:
    # Jobs hold the account's key. Read whole, it would be a valid report.
    said = {"name": "wn1-caffew", "address": "10.50.0.13", "host_key": HOST_KEY, "more": "x" * LONGEST}
    storage.says("wn1-caffew", json.dumps(said))
    lines = list[str]()

    names = [node.name for node in resolve_hosts(storage.cluster, lines.append).workers]

    assert names == ["wn0-caffew", "wn3-caffew"]
    assert lines[0].startswith("wn1-caffew not reported yet, left out")


def test_a_missing_cluster_is_refused(storage: Storage, arm: Arm) -> None:
    arm.always = (404, "ResourceNotFound", "The Resource was not found.")
    with pytest.raises(StackError, match=r"listing the hosts of HDInsight cluster caffe-west.*pulumi up"):
        resolve_hosts(storage.cluster)


def test_a_stack_of_another_cloud_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="it is not an HDInsight cluster"):
        resolve_hosts(cluster)


# ---- pure


@pytest.mark.parametrize(
    ("names", "lacking"), [(["wn0-a"], "no head"), (["hn0-a"], "no worker"), ([], "no head")]
)
def test_a_cluster_without_head_or_workers_is_refused(
    hdinsight: ClusterDocument, names: list[str], lacking: str
) -> None:
    said = {name: report(name) for name in names}
    with pytest.raises(StackError, match=f"it has {lacking}"):
        completed(hdinsight, [host(name) for name in names], said)


def test_the_second_head_node_is_the_head_if_the_first_is_gone(hdinsight: ClusterDocument) -> None:
    names = ["hn1-a", "wn0-a"]
    found = completed(hdinsight, [host(name) for name in names], {name: report(name) for name in names})
    assert found.head.name == "hn1-a"


def test_if_no_worker_has_reported_all_are_named_with_the_next_command(hdinsight: ClusterDocument) -> None:
    with pytest.raises(StackError) as caught:
        completed(hdinsight, [host(name) for name in ("hn0-a", "wn0-a", "wn1-a")], {"hn0-a": report("hn0-a")})
    assert caught.value.given == f"HDInsight cluster {NAME}"
    assert caught.value.why.startswith("wn0-a, wn1-a have not reported address and host key below")
    assert f"script-action list-execution-history --cluster-name {NAME}" in caught.value.fix
    assert f"--resource-group {GROUP}`" in caught.value.fix
    assert "\n" not in str(caught.value)


def test_a_head_that_has_not_reported_is_named_alone(hdinsight: ClusterDocument) -> None:
    with pytest.raises(StackError, match="hn0-a has not reported"):
        completed(hdinsight, [host("hn0-a"), host("wn0-a")], {"wn0-a": report("wn0-a")})


@pytest.mark.parametrize(
    ("name", "role", "number"),
    [
        ("hn0-caffew", "headnode", 0),
        ("wn12-caffew", "workernode", 12),
        ("zk2-caffew", "zookeepernode", 2),
        ("gw0-caffew", None, 0),
        ("wnx-caffew", "workernode", 0),
        ("", None, 0),
    ],
)
def test_a_hosts_name_contains_its_role_and_number(name: str, role: str | None, number: int) -> None:
    assert (host(name).role, host(name).number) == (role, number)
