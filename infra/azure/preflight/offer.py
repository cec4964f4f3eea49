"""Checks of what HDInsight offers in the stack's region: versions and machine sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.hdinsight import COMPONENT_VERSION, VERSION
from infra.azure.preflight.cloud import Cloud
from infra.azure.settings import sizes
from infra.preflight.finding import CloudCheck, Finding
from infra.settings.commands import set_command

if TYPE_CHECKING:
    from azure.mgmt.hdinsight.models import BillingResponseListResult, VmSizeCompatibilityFilterV2

    from infra.azure.settings.config import AzureConfig

REGION: Final = "region"
SIZES: Final = "sizes"
FLAVOR: Final = "Spark"
SYSTEM: Final = "Linux"
ANY: Final = "*"
NODES: Final[Mapping[sizes.Role, str]] = {
    "head": "HeadNodeRole",
    "worker": "WorkerNodeRole",
    "zookeeper": "ZookeeperRole",
}
"""Role → its name in HDInsight's list."""


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return checks of region, versions and sizes; without Azure, the project's table answers."""
    return [
        CloudCheck(REGION, lambda cloud: [_region(cloud, config, stack)], lambda: _by_table(REGION, config)),
        CloudCheck(SIZES, lambda cloud: [_sizes(cloud, config, stack)], lambda: _by_table(SIZES, config)),
    ]


def _by_table(name: str, config: AzureConfig) -> Finding:
    """Return a finding from the table, against which the configuration has been validated."""
    chosen = dict.fromkeys(one.size for one in config.machines)
    said = config.region if name == REGION else ", ".join(chosen)
    return Finding(name, "passed", f"{said}: by the table of {sizes.table().checked}, without asking Azure")


def _region(cloud: Cloud, config: AzureConfig, stack: str) -> Finding:
    with azure.translate_errors(f"asking what HDInsight has in {config.region}", stack):
        found = cloud.locations.get_capabilities(config.region)
    title = sizes.table().regions[config.region].title
    places = {place.upper() for part in (found.regions or {}).values() for place in part.available or []}
    if places and title.upper() not in places:
        return Finding(
            REGION,
            "failed",
            f"HDInsight is not available in {title} for this subscription; it is in "
            f"{', '.join(sorted(place.title() for place in places))}",
            f"Run `pulumi config set region REGION --stack {stack}`.",
        )
    versions = {
        str(spec.friendly_name): (spec.component_versions or {}).get(FLAVOR, "")
        for part in (found.versions or {}).values()
        for spec in part.available or []
    }
    spark = next((versions[name] for name in versions if _is(name, VERSION)), None)
    if versions and spark is None:
        there = ", ".join(sorted(versions))
        return Finding(
            REGION,
            "failed",
            f"HDInsight has no version {VERSION} in {title} any more; it has {there}",
            "This version of the project does not support that: see infra/azure/hdinsight.py.",
        )
    if spark and not any(_is(one.strip(), COMPONENT_VERSION) for one in spark.split(",")):
        return Finding(
            REGION,
            "failed",
            f"HDInsight {VERSION} has Spark {spark} in {title}, and the stack requires {COMPONENT_VERSION}",
            "This version of the project does not support that: see infra/azure/hdinsight.py.",
        )
    return Finding(
        REGION, "passed", f"{title} has HDInsight {VERSION} with Spark {spark or COMPONENT_VERSION}"
    )


def _is(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _sizes(cloud: Cloud, config: AzureConfig, stack: str) -> Finding:
    with azure.translate_errors(f"asking which sizes HDInsight has in {config.region}", stack):
        found = cloud.locations.list_billing_specs(config.region)
    for one in config.machines:
        node = NODES[one.role]
        why = refusal(one.size, node, config, found)
        if why:
            others = [
                size for size in sizes.table().sizes_for(one.role) if not refusal(size, node, config, found)
            ]
            better = f"{set_command(one.key, others[0] if others else 'SIZE')} --stack {stack}"
            has = f"; it has {', '.join(others)}" if others else ""
            return Finding(SIZES, "failed", f"{one.size} ({one.key}): {why}{has}", f"Run `{better}`.")
    chosen = dict.fromkeys(one.size for one in config.machines)
    return Finding(SIZES, "passed", f"offered in {config.region}: {', '.join(chosen)}")


def refusal(name: str, node: str, config: AzureConfig, found: BillingResponseListResult) -> str:
    """Return why HDInsight does not offer the size for that role, or an empty text. Pure."""
    if not _in(name, found.vm_sizes):
        return f"HDInsight does not offer it in {config.region}"
    for rule in found.vm_size_filters or []:
        if str(rule.filter_mode) == "Exclude" and _in(name, rule.vm_sizes) and _applies(rule, node, config):
            return f"HDInsight does not offer it as {node} in {config.region}"
    encrypting = found.vm_sizes_with_encryption_at_host
    if config.encryption_at_host and encrypting and not _in(name, encrypting):
        return "it does not support encryption at host (encryptionAtHost)"
    return ""


def _applies(rule: VmSizeCompatibilityFilterV2, node: str, config: AzureConfig) -> bool:
    """Return whether a rule applies to a stack's machines; an empty condition applies to all."""
    title = sizes.table().regions[config.region].title
    return (
        _covers(rule.regions, (title, config.region))
        and _covers(rule.cluster_flavors, (FLAVOR,))
        and _covers(rule.node_types, (node,))
        and _covers(rule.cluster_versions, (VERSION,))
        and _covers(rule.os_type, (SYSTEM,))
    )


def _covers(names: Sequence[str] | None, wanted: Iterable[str]) -> bool:
    return not names or ANY in names or any(_in(one, names) for one in wanted)


def _in(name: str, names: Sequence[str] | None) -> bool:
    """Return whether a name is in a list; the case of HDInsight's sizes varies."""
    return name.lower() in {one.lower() for one in names or []}
