"""Warning of a cluster with fewer workers than its HDFS has copies. Pure.

HDInsight creates a Spark cluster from one worker on: "Worker node (1+)" in
https://learn.microsoft.com/azure/hdinsight/hdinsight-hadoop-provision-linux-clusters. HDFS, which holds
services' temporary files, wants three copies of each, and may stay in safe mode with fewer workers after one
restarts: https://learn.microsoft.com/azure/hdinsight/hdinsight-scaling-best-practices (both read 2026-11-30).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.azure.settings.autoscale import MIN_WORKERS
from infra.settings.commands import set_command
from infra.tags import PROJECT

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

MINIMUM: Final = 1
"""Workers from which on HDInsight creates a cluster."""


def harm(config: AzureConfig) -> str:
    """Return what may happen with so few workers; empty with enough."""
    if config.part == "storage" or config.bounds[0] >= MIN_WORKERS:
        return ""
    return (
        f"HDInsight creates clusters from {MINIMUM} worker on, but its HDFS keeps {MIN_WORKERS} copies, and "
        "may stay in safe mode with fewer workers after one restarts"
    )


def fix(stack: str) -> str:
    """Return the sentence with the command that sets enough workers."""
    return f"Run `{set_command('workers', MIN_WORKERS)} --stack {stack}`."


def warning(config: AzureConfig, stack: str) -> str:
    """Return the warning in one line; empty with enough workers."""
    why = harm(config)
    return f"{PROJECT}:workers = {config.workers}: {why}. {fix(stack)}" if why else ""
