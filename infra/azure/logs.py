"""Log Analytics workspace for the cluster's logs and metrics; optional, since it is billed by the
gigabyte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import hdinsight, operationalinsights

DAYS: Final = 30
"""Retention that is included in the price of ingestion."""


@dataclass(frozen=True)
class LogsArgs:
    """`cluster`: name of an existing cluster."""

    group: pulumi.Input[str]
    region: str
    cluster: pulumi.Input[str]
    tags: Mapping[str, str]


class Logs(pulumi.ComponentResource):
    """A workspace, and Azure Monitor's agent on the cluster's machines, which writes to it.

    The agent, not the older integrations: https://learn.microsoft.com/azure/hdinsight/azure-monitor-agent
    """

    workspace_id: pulumi.Output[str]

    def __init__(self, name: str, args: LogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:azure:Logs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        workspace = operationalinsights.Workspace(
            f"{name}-workspace",
            resource_group_name=args.group,
            location=args.region,
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=DAYS,
            tags=args.tags,
            opts=child,
        )
        keys = operationalinsights.get_shared_keys_output(
            resource_group_name=args.group,
            workspace_name=workspace.name,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        hdinsight.ExtensionAzureMonitorAgentStatus(
            f"{name}-agent",
            resource_group_name=args.group,
            cluster_name=args.cluster,
            # The workspace's own id, not its resource id.
            workspace_id=workspace.customer_id,
            primary_key=pulumi.Output.secret(keys.primary_shared_key),
            opts=child,
        )
        self.workspace_id = workspace.id
        self.register_outputs({"workspace_id": self.workspace_id})
