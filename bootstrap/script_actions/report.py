"""`fab script-actions`: table of runs, their results, and the actions that run on joining nodes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from bootstrap import script_actions
from bootstrap.cluster import ClusterDocument
from bootstrap.errors import ConfigError
from bootstrap.script_actions.executions import SHOWN, Persisted, Record


def report(cluster: ClusterDocument) -> Table:
    """Return a table of the cluster's script actions.

    Raises:
        ConfigError: the cluster takes none.
        StackError, ServiceDown: storage or Azure refuses, or cannot be reached.
    """
    if not cluster.takes_script_actions:
        raise ConfigError(
            f"stack {cluster.stack!r}",
            "its nodes are provisioned over SSH or by user data, not by script actions",
            "Name a stack of HDInsight's shape: `--stack dev-yarn`.",
        )
    return table(script_actions.history(cluster), script_actions.persisted(cluster))


def table(history: Sequence[Record], persisted: Sequence[Persisted]) -> Table:
    """Return the table, the newest run first. Pure."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("action", "begun (UTC)", "status", "hosts", "persists", "id"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("script")
    kept = {one.uri for one in persisted}
    for record in history[:SHOWN]:
        counts = ", ".join(f"{count} {status.lower()}" for status, count in record.counts)
        lasts = "yes" if record.uri in kept else ""
        shown.add_row(record.name, record.begun, record.status, counts, lasts, record.id, record.uri)
    if not history:
        shown.add_row("none yet: `fab build-headnode`")
    return shown
