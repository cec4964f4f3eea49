"""Script actions: scripts that nodes fetch from blob storage and run as root, as HDInsight defines them.

Two runners: HDInsight itself, and our own nodes of HDInsight's shape.
"""

from __future__ import annotations

from typing import Protocol

from rich.console import Console

from bootstrap.cluster import Cluster, ClusterDocument, HdInsight
from bootstrap.script_actions.action import Execution, ScriptAction
from bootstrap.script_actions.executions import Persisted, Record

__all__ = ["Execution", "Persisted", "Record", "ScriptAction", "catch_up", "history", "persisted", "run"]


class Runner(Protocol):
    """Protocol of the modules that run script actions."""

    def run(self, cluster: Cluster, action: ScriptAction, uri: str, console: Console) -> Execution:
        """Run the script at `uri` on all hosts of its roles."""
        ...

    def history(self, cluster: ClusterDocument) -> list[Record]:
        """Return the recorded runs, the newest first."""
        ...

    def persisted(self, cluster: ClusterDocument) -> list[Persisted]:
        """Return the script actions that run on joining hosts."""
        ...

    def catch_up(self, cluster: Cluster, console: Console) -> None:
        """Run persisted script actions on hosts that have joined since."""
        ...


def runner_of(cluster: ClusterDocument) -> Runner:
    """Return the runner of a cluster that takes script actions."""
    # Azure's clients take a second to import, which clusters without script actions need not pay.
    if isinstance(cluster.members, HdInsight):
        from bootstrap.script_actions import hdinsight

        return hdinsight
    from bootstrap.script_actions import nodes

    return nodes


def run(cluster: Cluster, action: ScriptAction, console: Console) -> Execution:
    """Upload a script and run it on every host of its roles that lacks its result.

    Raises:
        ScriptActionFailed: it failed on a host, did not reach one, or did not end in time.
        ConfigError, StackError, ServiceDown: storage or Azure refuses, or cannot be reached.
    """
    from bootstrap.storage import blob

    return runner_of(cluster).run(cluster, action, blob.upload(cluster, action), console)


def history(cluster: ClusterDocument) -> list[Record]:
    """Return the runs that the cluster has recorded, the newest first. Raises as `run`."""
    return runner_of(cluster).history(cluster)


def persisted(cluster: ClusterDocument) -> list[Persisted]:
    """Return the script actions that run on joining hosts. Raises as `run`."""
    return runner_of(cluster).persisted(cluster)


def catch_up(cluster: Cluster, console: Console) -> None:
    """Run persisted script actions on hosts that have joined since.

    Raises:
        ScriptActionFailed, ConfigError, StackError, ServiceDown: as `run`.
    """
    if cluster.takes_script_actions:
        runner_of(cluster).catch_up(cluster, console)
