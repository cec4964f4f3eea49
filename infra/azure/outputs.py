"""Stack outputs for people: nodes, cost, how to connect, what to run next."""

from __future__ import annotations

from functools import partial

import pulumi

from infra.azure import access
from infra.azure.document import Outputs
from infra.azure.settings.config import AzureConfig


def closing(config: AzureConfig, stack: str, cluster: pulumi.Output[str], bill: str) -> Outputs:
    """Return the outputs; `cluster` is the cluster's name, `bill` its cost in words."""
    typed = cluster.apply(partial(access.commands, stack, config.ssh_user, config.private_key_file))
    return {
        "nodes": nodes(config),
        "cost": bill,
        "connect": typed.apply(lambda one: one.ssh),
        "gateway": typed.apply(lambda one: one.gateway),
        "yarn_ui": typed.apply(lambda one: one.yarn_ui),
        "password": typed.apply(lambda one: one.password),
        **_private_link(config),
        "next": f"fab build-headnode --stack {stack}, then fab submit-mnist --stack {stack}",
        "destroy": f"pulumi destroy --stack {stack}: HDInsight cannot pause, and bills until then",
    }


def _private_link(config: AzureConfig) -> Outputs:
    """Describe what is left to do for a private cluster in a network that the stack was given. Pure."""
    if not (config.private_link and config.subnet_id):
        return {}
    return {
        "private_link": "its private endpoints and their names are yours to make in your network, before "
        "anything reaches the cluster: docs/azure.md, Your own network"
    }


def nodes(config: AzureConfig) -> dict[str, str]:
    """Describe the nodes. Pure."""
    low, high = config.bounds
    scale = config.autoscale
    by = "" if scale is None else f" ({low} to {high}, by {'load' if scale.by_load else 'schedule'})"
    heads, workers, zookeepers = config.machines
    return {
        "heads": f"{heads.min_count} {heads.size}",
        "workers": f"{config.workers}{by} {workers.size}",
        "zookeepers": f"{zookeepers.min_count} {zookeepers.size}",
    }
