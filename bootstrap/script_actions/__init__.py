"""Scripts that nodes fetch from blob storage and run as root: HDInsight's way to change its machines.

One vocabulary, two runners: HDInsight itself, and our own nodes of its shape, which do it likewise.
"""

from __future__ import annotations

from typing import Protocol

from rich.console import Console

from bootstrap.cluster import Cluster, ClusterDocument, HdInsight
from bootstrap.script_actions.action import Execution, ScriptAction
from bootstrap.script_actions.executions import Persisted, Record

__all__ = ["Execution", "Persisted", "Record", "ScriptAction", "catch_up", "history", "persisted", "run"]


class Runner(Protocol):
    """A module that runs script actions."""

    def run(self, cluster: Cluster, action: ScriptAction, uri: str, console: Console) -> Execution:
        """Run a script that lies at `uri` on all hosts of its roles."""
        ...

    def history(self, cluster: ClusterDocument) -> list[Record]:
        """Every run that is remembered, the newest first."""
        ...

    def persisted(self, cluster: ClusterDocument) -> list[Persisted]:
        """The script actions that hosts get when they join."""
        ...

    def catch_up(self, cluster: Cluster, console: Console) -> None:
        """Run persisted script actions on hosts that have joined since."""
        ...


def runner_of(cluster: ClusterDocument) -> Runner:
    """The runner of a cluster that takes script actions."""
    # Azure's clients take a second to import, which clusters without script actions need not pay.
    if isinstance(cluster.members, HdInsight):
        from bootstrap.script_actions import hdinsight

        return hdinsight
    from bootstrap.script_actions import nodes

    return nodes


def run(cluster: Cluster, action: ScriptAction, console: Console) -> Execution:
    """Upload a script and run it on every host of its roles; nothing runs where it is in place.

    Raises:
        ScriptActionFailed: it failed on a host, did not reach one, or did not end in time.
        ConfigError, StackError, ServiceDown: storage or Azure refuses, or cannot be reached.
    """
    from bootstrap.storage import blob

    return runner_of(cluster).run(cluster, action, blob.upload(cluster, action), console)


def history(cluster: ClusterDocument) -> list[Record]:
    """Every run that the cluster remembers, the newest first. Raises as `run`."""
    return runner_of(cluster).history(cluster)


def persisted(cluster: ClusterDocument) -> list[Persisted]:
    """The script actions that hosts get when they join. Raises as `run`."""
    return runner_of(cluster).persisted(cluster)


def catch_up(cluster: Cluster, console: Console) -> None:
    """Run persisted script actions on hosts that have joined since.

    Raises:
        ScriptActionFailed, ConfigError, StackError, ServiceDown: as `run`.
    """
    if cluster.takes_script_actions:
        runner_of(cluster).catch_up(cluster, console)
