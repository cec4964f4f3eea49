"""Imitation of the cloud's group: announces interruptions, takes nodes, and brings replacements.

A replacement is a new container of the same name and address, made and provisioned by the commands that
repair a local stack. On AWS, the machine does this itself, by its user data; roles and service are the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bootstrap.cluster import Cluster
from bootstrap.errors import CaffeSparkError, CommandFailed
from bootstrap.join import program
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import Connect, connect
from jobs.drill.cloud import NodeServer, serving
from jobs.drill.containers import Containers
from jobs.drill.record import ANNOUNCED, CUT, HEALED, REPLACED, REPLACING, TAKEN, Record
from jobs.drill.repair import Repair

STARTING: Final = 60.0
"""Seconds for the service of a node to start, and to read its metadata."""
PAUSE: Final = 0.2
LOG: Final = "replacement.log"


class Group:
    """See the module. Each step is marked in the record before it is taken: figures err to the worse."""

    def __init__(
        self,
        cluster: Cluster,
        containers: Containers,
        servers: Mapping[str, NodeServer],
        record: Record,
        repair: Callable[[Path], None],
        *,
        open_connection: Connect = connect,
    ) -> None:
        self._cluster, self._containers, self._servers = cluster, containers, servers
        self._record, self._repair, self._connect = record, repair, open_connection
        self._log = Path(LOG)

    @property
    def log(self) -> Path:
        """Output of the replacement."""
        return self._log

    def log_to(self, path: Path) -> None:
        """Write the output of the replacement to that file."""
        self._log = path

    def announce(self, nodes: Sequence[str], at: float) -> None:
        """Let the metadata of the nodes tell that they end at that time."""
        for node in nodes:
            self._record.mark(ANNOUNCED, node)
            self._servers[node].metadata.announce(at)

    def withdraw(self, nodes: Sequence[str]) -> None:
        """Let the metadata of the nodes tell of nothing."""
        for node in nodes:
            self._servers[node].metadata.withdraw()

    def take(self, nodes: Sequence[str]) -> None:
        """Kill the nodes, all at one time."""
        for node in nodes:
            self._record.mark(TAKEN, node)
        on_all([self._cluster.node(node) for node in nodes], lambda node: self._containers.kill(node.name))

    def replace(self, nodes: Sequence[str]) -> None:
        """Bring replacements of nodes that were taken, which watch for notices in their turn."""
        for node in nodes:
            self._record.mark(REPLACING, node)
            self._servers[node].metadata.withdraw()
        self._repair(self.log)
        self.watch(nodes)
        for node in nodes:
            self._record.mark(REPLACED, node)

    def cut(self, nodes: Sequence[str]) -> None:
        """Cut the nodes off the network."""
        for node in nodes:
            self._record.mark(CUT, node)
            self._containers.cut(node)

    def heal(self, nodes: Sequence[str]) -> None:
        """Connect the nodes again."""
        for node in nodes:
            self._containers.heal(node)
            self._record.mark(HEALED, node)

    def watch(self, nodes: Sequence[str]) -> None:
        """Start the service that reads notices, the one of AWS's machines, with the simulated metadata.

        Raises:
            Unreachable, CommandFailed: a node does not answer, or its service does not read its metadata.
        """

        def start(node: str) -> None:
            with self._connect(self._cluster, self._cluster.node(node)) as remote:
                remote.run(program.watching(self._servers[node].settings()), timeout=STARTING)

        before = {node: self._asked(node) for node in nodes}
        on_all([self._cluster.node(node) for node in nodes], lambda node: start(node.name))
        deadline = time.monotonic() + STARTING
        for node in nodes:
            # Seen from here: a firewall between the two would make it a drill without a notice.
            while self._asked(node) == before[node]:
                if time.monotonic() > deadline:
                    why = f"its service has not read {self._servers[node].url} in {STARTING:g} s"
                    look = f"Run `fab ssh {node} --command 'journalctl -u {program.WATCH}'`"
                    fix = f"{look}; if that is well, let the node through this machine's firewall."
                    raise CommandFailed(node, why, fix)
                time.sleep(PAUSE)

    def _asked(self, node: str) -> int:
        return self._servers[node].metadata.tokens.issued

    def unwatch(self, nodes: Sequence[str]) -> None:
        """Remove the service, and what it did to a node that was not taken after all."""
        for node in nodes:
            # One that is gone has nothing to remove.
            with (
                suppress(CaffeSparkError),
                self._connect(self._cluster, self._cluster.node(node)) as remote,
            ):
                remote.run(program.unwatching(), timeout=STARTING)


@contextmanager
def simulated(cluster: Cluster, record: Record, folder: Path, env: Mapping[str, str]) -> Iterator[Group]:
    """Yield the group of a local cluster, whose workers watch for notices in this block.

    Raises:
        ConfigError: the stack's containers are not on this machine.
        Unreachable, CommandFailed: a worker does not answer, or does not start the service.
    """
    containers = Containers.of(cluster.stack, cluster.head.name)
    workers = [node.name for node in cluster.workers]
    with serving(cluster.workers, record.mark) as servers:
        repair = Repair(cluster.stack, folder, env)
        group = Group(cluster, containers, servers, record, repair.run)
        try:
            group.watch(workers)
            yield group
        finally:
            containers.heal_all()
            group.unwatch(workers)
