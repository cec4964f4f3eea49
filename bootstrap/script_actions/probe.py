"""Probe of a script action's result on the hosts themselves."""

from __future__ import annotations

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import CaffeSparkError
from bootstrap.script_actions.action import ScriptAction
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import TIMED_OUT, connect


def lacking(cluster: Cluster, action: ScriptAction) -> list[str]:
    """Return the names of the nodes where the action's probe fails, without those that do not respond."""

    def holds(node: Node) -> bool:
        try:
            with connect(cluster, node) as remote:
                found = remote.run(action.probe, check=False, timeout=30)
                return found.ok or found.exit_code == TIMED_OUT
        except CaffeSparkError:
            return True  # running it again everywhere would not reach that node either

    if not action.probe:
        return []
    held = on_all(cluster.nodes, holds)
    return [node.name for node, fine in zip(cluster.nodes, held, strict=True) if not fine]
