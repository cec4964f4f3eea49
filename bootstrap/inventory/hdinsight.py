"""The nodes of an HDInsight cluster: Azure's list of hosts, and what each of them has reported of itself.

A script action at the cluster's creation lets every node put its address and its SSH host key below
`cluster/nodes/` of the shared storage; it is persisted, so nodes that autoscale adds do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from bootstrap import paths
from bootstrap.clouds import azure
from bootstrap.cluster import Cluster, ClusterDocument, HdInsight, Node
from bootstrap.errors import ConfigError, StackError
from bootstrap.script_actions.action import HOST_ROLES, HostRole
from bootstrap.storage.blob import Blobs

if TYPE_CHECKING:
    from azure.mgmt.hdinsight import HDInsightManagementClient

READERS: Final = 8
"""Reports that are read at the same time."""
_BY_PREFIX: Final[Mapping[str, HostRole]] = {"hn": "headnode", "wn": "workernode", "zk": "zookeepernode"}


@dataclass(frozen=True)
class Host:
    """A machine as Azure lists it: `wn3-caffes`, and its name in the cluster's own domain."""

    name: str
    fqdn: str

    @property
    def role(self) -> HostRole | None:
        """None for those that no script action of ours runs on: gateways and edge nodes."""
        return _BY_PREFIX.get(self.name[:2])

    @property
    def number(self) -> int:
        """HDInsight's own; numbers of removed hosts are not used again."""
        digits = self.name.partition("-")[0][2:]
        return int(digits) if digits.isdigit() else 0


class Report(BaseModel):
    """What a node says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    address: str
    host_key: str


def service(cluster: ClusterDocument) -> HdInsight:
    """The cluster as Azure's management interface knows it.

    Raises:
        ConfigError: the stack is not one of HDInsight.
    """
    if isinstance(cluster.members, HdInsight):
        return cluster.members
    raise ConfigError(
        f"stack {cluster.stack!r}",
        f"it is no HDInsight cluster (its provider is {cluster.provider})",
        "Name an azure stack with --stack.",
    )


def hosts(
    client: HDInsightManagementClient, given: HdInsight, roles: Sequence[HostRole] = HOST_ROLES
) -> list[Host]:
    """The machines that have one of the roles, by role and number. Failures are the caller's to translate."""
    found = client.virtual_machines.list_hosts(given.resource_group, given.name)
    named = [Host(one.name or "", one.fqdn or "") for one in found]
    chosen = [host for host in named if host.role in roles]
    return sorted(
        chosen, key=lambda host: (HOST_ROLES.index(host.role or HOST_ROLES[0]), host.number, host.name)
    )


def resolve_hosts(cluster: ClusterDocument, say: Callable[[str], None] = lambda _: None) -> Cluster:
    """The cluster with the head and the workers of this moment; `say` hears of workers that are on their way.

    Raises:
        StackError: there is no such cluster, or its head, or every worker, has not reported itself.
        ConfigError, ServiceDown: Azure or its storage refuses, or cannot be reached.
    """
    given = service(cluster)
    with azure.translate_errors(f"listing the hosts of HDInsight cluster {given.name}", cluster.stack):
        found = hosts(azure.management(given, azure.FAIL_FAST), given, ("headnode", "workernode"))
    said = reports(Blobs.of(cluster), found)
    whole = completed(cluster, found, said)
    silent = [host.name for host in found if host.role == "workernode" and host.name not in said]
    if silent:
        say(f"{', '.join(silent)} not reported yet, and left out: nodes that join take some minutes")
    return whole


def reports(blobs: Blobs, found: Sequence[Host]) -> dict[str, Report]:
    """Reports by host name; of a host that is gone nothing is read.

    Raises:
        ConfigError, StackError, ServiceDown: see `bootstrap.storage.blob.Blobs.read`.
    """
    wanted = {host.name for host in found}
    # A node names its report by its host name, which may be the long one.
    lying = {path.rpartition("/")[2].removesuffix(".json").partition(".")[0]: path for path in _paths(blobs)}
    there = {name: path for name, path in lying.items() if name in wanted}
    with ThreadPoolExecutor(READERS) as readers:
        bodies = list(readers.map(blobs.read, there.values()))
    read = {}
    for name, body in zip(there, bodies, strict=True):
        try:
            read[name] = Report.model_validate_json(body or b"")
        except ValidationError:
            continue  # half of another version: the node counts as one that has said nothing
    return read


def _paths(blobs: Blobs) -> list[str]:
    return [path for path in blobs.list(f"{paths.NODES}/") if path.endswith(".json")]


def completed(cluster: ClusterDocument, found: Sequence[Host], said: Mapping[str, Report]) -> Cluster:
    """The cluster's document, filled in. Pure.

    Raises:
        StackError: there is no head or no worker, or the head, or every worker, has not reported itself.
    """
    given = service(cluster)
    heads = [host for host in found if host.role == "headnode"]
    workers = [host for host in found if host.role == "workernode"]
    if not heads or not workers:
        lacking = "no head" if not heads else "no worker"
        raise StackError(
            f"HDInsight cluster {given.name}",
            f"it has {lacking}",
            f"Run `az hdinsight show --name {given.name} --resource-group {given.resource_group}`, "
            "which says its state.",
        )
    # The SSH endpoint leads to the active head, the first one unless that is down.
    head = heads[0]
    # While autoscale adds nodes, those that are there are not kept from work.
    ready = [host for host in workers if host.name in said]
    silent = [host.name for host in (head, *workers) if host.name not in said]
    if head.name not in said or not ready:
        raise StackError(
            f"HDInsight cluster {given.name}",
            f"{', '.join(silent)} {'has' if len(silent) == 1 else 'have'} not reported address and host key "
            f"below {cluster.shared_storage}/{paths.NODES}",
            "A node that just joined takes some minutes; whether its script failed is shown by `az hdinsight "
            f"script-action list-execution-history --cluster-name {given.name} "
            f"--resource-group {given.resource_group}`.",
        )
    here = Node(
        name=head.name,
        address=said[head.name].address,
        host_key=said[head.name].host_key,
        ssh_target=cluster.head.ssh_target or cluster.head.address,
    )
    nodes = tuple(
        Node(name=host.name, address=said[host.name].address, host_key=said[host.name].host_key)
        for host in ready
    )
    return Cluster.of(cluster, head=here, workers=nodes)
