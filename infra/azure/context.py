"""Context of a stack's resources: resource group, region, provider and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_azure_native as azure_native

from infra import tags
from infra.azure import names
from infra.azure.named import named
from infra.azure.settings.config import AzureConfig


@dataclass(frozen=True)
class StackContext:
    """Context shared by a stack's resources; `here` are the options of every component."""

    stack: str
    subscription: str
    region: str
    group: pulumi.Output[str]
    """Name of the resource group."""
    group_id: pulumi.Output[str]
    tags: Mapping[str, str]
    here: pulumi.ResourceOptions
    provider: pulumi.ProviderResource


def make_context(config: AzureConfig, stack: str, subscription: str) -> StackContext:
    """Create the stack's own provider, and its resource group."""
    provider = azure_native.Provider(
        "azure",
        location=config.region,
        # Use the same login as the SDK clients (`bootstrap.clouds.azure`): otherwise the provider would read
        # ARM_CLIENT_ID and the like instead of AZURE_CLIENT_ID, and ignore managed identities. It then
        # requires a subscription id.
        use_default_azure_credential=True,
        subscription_id=subscription,
        disable_pulumi_partner_id=True,
    )
    here = pulumi.ResourceOptions(provider=provider)
    labels = tags.azure_tags(stack, config.tags)
    name = names.resource_group(stack)
    group = azure_native.resources.ResourceGroup(
        "group",
        resource_group_name=name,
        location=config.region,
        tags=labels,
        opts=here,
    )
    return StackContext(
        stack, subscription, config.region, named(group, name), group.id, labels, here, provider
    )
