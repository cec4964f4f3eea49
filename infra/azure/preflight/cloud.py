"""SDK clients of the checks, for a subscription and a region, and the stack's existing resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bootstrap.clouds import azure
from infra import tags
from infra.azure import names
from infra.azure.arm import HDINSIGHT, RESOURCES, Arm, Document

if TYPE_CHECKING:
    from azure.mgmt.hdinsight.operations import LocationsOperations

    from infra.azure.settings.config import AzureConfig


@dataclass(frozen=True)
class Cloud:
    """Clients, which may be shared between threads, and names.

    `cluster` is the stack's own, if it exists; `group` is the resource group of its name, whoever owns it.
    """

    subscription: str
    tenant: str
    region: str
    arm: Arm
    locations: LocationsOperations
    group: Document | None = None
    cluster: Document | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, arm: Arm, found: Document, config: AzureConfig, stack: str, patience: Mapping[str, Any]
    ) -> Cloud:
        """Create clients for a subscription, and look up the stack's resource group and cluster.

        Raises:
            Denied: permission to read resource groups is missing.
            ServiceDown: Azure does not answer.
        """
        subscription = str(found["subscriptionId"])
        known = names_of(config, stack, subscription)
        group = cluster = None
        with azure.translate_errors(f"looking for resource group {known['group']}", stack):
            group = arm.find(known["group_id"], RESOURCES)
            if group is not None and ours(group, stack):
                provider = f"{known['group_id']}/providers/Microsoft.HDInsight"
                cluster = arm.find(f"{provider}/clusters/{known['cluster']}", HDINSIGHT)
        return cls(
            subscription,
            str(found.get("tenantId", "")),
            config.region,
            arm,
            azure.management(subscription, patience).locations,
            group,
            cluster,
            known,
        )


def names_of(config: AzureConfig, stack: str, subscription: str) -> dict[str, str]:
    """Return the names of the stack's resources in a subscription. Pure."""
    group = names.resource_group(stack)
    group_id = f"/subscriptions/{subscription}/resourceGroups/{group}"
    return {
        "group": group,
        "group_id": group_id,
        "cluster": config.cluster_name or names.cluster(stack, group_id),
        "account": names.account(group_id),
        "scripts_account": names.scripts_account(group_id),
    }


def ours(group: Document, stack: str) -> bool:
    """Return whether a resource group has the stack's tags."""
    return tags.is_ours(tags.of_azure(group.get("tags")), tags.cloud_tags(stack))
