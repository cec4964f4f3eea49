"""Nodes of an HDInsight cluster: Azure's list of hosts, and the report of each host.

A script action at the cluster's creation writes each node's address and SSH host key below `cluster/nodes/`
of shared storage; it is persisted, so nodes that autoscale adds run it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from bootstrap import paths
from bootstrap.clouds import azure
from bootstrap.cluster import Cluster, ClusterDocument, HdInsight, Node
from bootstrap.cluster.access import Address, HostKey, HostName
from bootstrap.errors import ConfigError, StackError
from bootstrap.script_actions.action import HOST_ROLES, HostRole
from bootstrap.storage.blob import Blobs

if TYPE_CHECKING:
    from azure.mgmt.hdinsight import HDInsightManagementClient

LONGEST: Final = 64 << 10
"""Bytes of a report; a longer one is no node's."""
_BY_PREFIX: Final[Mapping[str, HostRole]] = {"hn": "headnode", "wn": "workernode", "zk": "zookeepernode"}


@dataclass(frozen=True)
class Host:
    """A host as Azure lists it: `wn3-caffes`, and its FQDN in the cluster's domain."""

    name: str
    fqdn: str

    @property
    def role(self) -> HostRole | None:
        """The host's role; None for gateways and edge nodes, on which our script actions do not run."""
        return _BY_PREFIX.get(self.name[:2])

    @property
    def number(self) -> int:
        """HDInsight's number of the host; numbers of removed hosts are not reused."""
        digits = self.name.partition("-")[0][2:]
        return int(digits) if digits.isdigit() else 0


class Report(BaseModel):
    """A node's report about itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: HostName
    address: Address
    host_key: HostKey


def service(cluster: ClusterDocument) -> HdInsight:
    """Return the HDInsight cluster's identity in Azure Resource Manager.

    Raises:
        ConfigError: the stack is not an HDInsight cluster.
    """
    if isinstance(cluster.members, HdInsight):
        return cluster.members
    raise ConfigError(
        f"stack {cluster.stack!r}",
        f"it is not an HDInsight cluster (its provider is {cluster.provider})",
        "Pass an azure stack with --stack.",
    )


def hosts(
    client: HDInsightManagementClient, hdinsight: HdInsight, roles: Sequence[HostRole] = HOST_ROLES
) -> list[Host]:
    """Return the hosts with these roles, sorted by role and number; SDK errors are not translated."""
    listed = client.virtual_machines.list_hosts(hdinsight.resource_group, hdinsight.name)
    every = [Host(info.name or "", info.fqdn or "") for info in listed]
    chosen = [host for host in every if host.role in roles]
    return sorted(
        chosen, key=lambda host: (HOST_ROLES.index(host.role or HOST_ROLES[0]), host.number, host.name)
    )


def resolve_hosts(cluster: ClusterDocument, say: Callable[[str], None] = lambda _: None) -> Cluster:
    """Return the cluster with its current head and workers; `say` prints which workers are still joining.

    Raises:
        StackError: the cluster does not exist, or its head or every worker has not reported.
        ConfigError, ServiceDown: Azure or its storage refuses the request, or cannot be reached.
    """
    hdinsight = service(cluster)
    with azure.translate_errors(f"listing the hosts of HDInsight cluster {hdinsight.name}", cluster.stack):
        listed = hosts(azure.management(hdinsight, azure.FAIL_FAST), hdinsight, ("headnode", "workernode"))
    by_host = reports(Blobs.of(cluster), listed)
    resolved = completed(cluster, listed, by_host)
    missing = [host.name for host in listed if host.role == "workernode" and host.name not in by_host]
    if missing:
        say(f"{', '.join(missing)} not reported yet, left out: joining takes some minutes")
    return resolved


def reports(blobs: Blobs, listed: Sequence[Host]) -> dict[str, Report]:
    """Return the hosts' reports by host name; reports of removed hosts are not read.

    Raises:
        ConfigError, StackError, ServiceDown: see `bootstrap.storage.blob.Blobs.read`.
    """
    wanted = {host.name for host in listed}
    # A node names its report by its host name, which may be the FQDN.
    stored = {path.rpartition("/")[2].removesuffix(".json").partition(".")[0]: path for path in _paths(blobs)}
    current = {name: path for name, path in stored.items() if name in wanted}
    bodies = blobs.read_each(current.values(), max_size=LONGEST)
    read = {}
    for name, body in zip(current, bodies, strict=True):
        try:
            report = Report.model_validate_json(body or b"")
        except ValidationError:
            continue  # of another version, or no node's: the node counts as not reported
        if report.name.partition(".")[0] == name:
            read[name] = report
    return read


def _paths(blobs: Blobs) -> list[str]:
    return [path for path in blobs.list(f"{paths.NODES}/") if path.endswith(".json")]


def completed(cluster: ClusterDocument, listed: Sequence[Host], by_host: Mapping[str, Report]) -> Cluster:
    """Return the cluster with the nodes of these hosts and reports. Pure.

    Raises:
        StackError: there is no head or no worker, or the head or every worker has not reported.
    """
    hdinsight = service(cluster)
    heads = [host for host in listed if host.role == "headnode"]
    workers = [host for host in listed if host.role == "workernode"]
    if not heads or not workers:
        lacking = "no head" if not heads else "no worker"
        raise StackError(
            f"HDInsight cluster {hdinsight.name}",
            f"it has {lacking}",
            f"Run {hdinsight.repair(cluster.stack)}.",
        )
    # The SSH endpoint leads to the active head node: the first one unless that is down.
    head = heads[0]
    # While autoscale adds nodes, the cluster works with those that have reported.
    ready = [host for host in workers if host.name in by_host]
    missing = [host.name for host in (head, *workers) if host.name not in by_host]
    if head.name not in by_host or not ready:
        raise StackError(
            f"HDInsight cluster {hdinsight.name}",
            f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} not reported address and host "
            f"key below {cluster.shared_storage}/{paths.NODES}",
            "Wait some minutes for a node that just joined; to see whether its script failed, run `az "
            f"hdinsight script-action list-execution-history --cluster-name {hdinsight.name} "
            f"--resource-group {hdinsight.resource_group}`.",
        )
    head_node = Node(
        name=head.name,
        address=by_host[head.name].address,
        host_key=by_host[head.name].host_key,
        ssh_target=cluster.head.ssh_target or cluster.head.address,
    )
    nodes = tuple(
        Node(name=host.name, address=by_host[host.name].address, host_key=by_host[host.name].host_key)
        for host in ready
    )
    return Cluster.of(cluster, head=head_node, workers=nodes)
