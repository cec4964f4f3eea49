"""Checks that the subscription is registered for the resource providers of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.arm import RESOURCES
from infra.azure.preflight.cloud import Cloud
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

REGISTERED: Final = "Registered"


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return a check for each provider."""
    return [_check(name, stack) for name in needed(config)]


def needed(config: AzureConfig) -> list[str]:
    """Return the resource providers that the stack uses. Pure."""
    if config.part == "storage":
        return ["Microsoft.Storage"]
    names = ["Microsoft.HDInsight", "Microsoft.Network", "Microsoft.Storage"]
    names += ["Microsoft.ManagedIdentity"] if config.by_identity else []
    names += ["Microsoft.OperationalInsights"] if config.log_analytics else []
    return names


def _check(name: str, stack: str) -> CloudCheck[Cloud]:
    return CloudCheck(title(name), lambda cloud: [_registered(cloud, name, stack)])


def _registered(cloud: Cloud, name: str, stack: str) -> Finding:
    with azure.translate_errors(f"looking at resource provider {name}", stack):
        path = f"/subscriptions/{cloud.subscription}/providers/{name}"
        state = cloud.arm.get(path, RESOURCES).get("registrationState", "unknown")
    if state == REGISTERED:
        return Finding(title(name), "passed", "registered")
    register = f"az provider register --namespace {name} --subscription {cloud.subscription} --wait"
    return Finding(title(name), "failed", f"the subscription is {_words(state)} for it", f"Run `{register}`.")


def _words(state: str) -> str:
    return {"NotRegistered": "not registered", "Registering": "not registered yet"}.get(state, state.lower())


def title(name: str) -> str:
    """Return the name of a check."""
    return f"provider {name.removeprefix('Microsoft.')}"
