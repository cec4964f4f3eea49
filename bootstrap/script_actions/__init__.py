"""Scripts that nodes fetch from blob storage and run as root: HDInsight's way to change its machines.

One vocabulary, two who run them: HDInsight itself, and our own nodes of its shape, which do it likewise.
"""

from __future__ import annotations

from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.script_actions.action import Execution, ScriptAction
from bootstrap.script_actions.executions import Persisted, Record

__all__ = ["Execution", "Persisted", "Record", "ScriptAction", "catch_up", "history", "persisted", "run"]

# Azure's clients take a second to import, which clusters without script actions need not pay.


def run(cluster: Cluster, action: ScriptAction, console: Console) -> Execution:
    """Upload a script and run it on every host of its roles; nothing runs where it is in place.

    Raises:
        ScriptActionFailed: it failed on a host, did not reach one, or did not end in time.
        ConfigError, StackError, ServiceDown: storage or Azure refuses, or cannot be reached.
    """
    from bootstrap import blob
    from bootstrap.script_actions import hdinsight, nodes
    from bootstrap.script_actions.probe import lacking

    uri = blob.upload(cluster, action)
    if cluster.hdinsight:
        # HDInsight knows what ran there, and not what has become of it.
        return hdinsight.run(cluster, action, uri, console, lacking=lambda: lacking(cluster, action))
    return nodes.run(cluster, action, uri, console)


def history(cluster: Cluster) -> list[Record]:
    """Every run that the cluster remembers, the newest first. Raises as `run`."""
    from bootstrap.script_actions import hdinsight, nodes

    return hdinsight.history(cluster) if cluster.hdinsight else nodes.history(cluster)


def persisted(cluster: Cluster) -> list[Persisted]:
    """The script actions that hosts get when they join. Raises as `run`."""
    from bootstrap.script_actions import hdinsight, nodes

    return hdinsight.persisted(cluster) if cluster.hdinsight else nodes.persisted(cluster)


def catch_up(cluster: Cluster, console: Console) -> None:
    """Run persisted script actions on hosts that have joined since; HDInsight does so by itself.

    Raises:
        ScriptActionFailed, ConfigError, StackError, ServiceDown: as `run`.
    """
    if cluster.takes_script_actions and not cluster.hdinsight:
        from bootstrap.script_actions import nodes

        nodes.catch_up(cluster, console)
