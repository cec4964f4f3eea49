"""Where everything of a stack goes: its resource group, region, provider and tags."""

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
    """`here` are the options that every component gets."""

    stack: str
    subscription: str
    region: str
    group: pulumi.Output[str]
    """The resource group's name."""
    group_id: pulumi.Output[str]
    tags: Mapping[str, str]
    here: pulumi.ResourceOptions


def make_context(config: AzureConfig, stack: str, subscription: str) -> StackContext:
    """The stack's own provider, and its resource group."""
    provider = azure_native.Provider(
        "azure",
        location=config.region,
        # The login of `bootstrap.clouds.azure`: else the provider would read ARM_CLIENT_ID and its like in
        # place of AZURE_CLIENT_ID's, and see no managed identity. It then needs a subscription named.
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
    return StackContext(stack, subscription, config.region, named(group, name), group.id, labels, here)
