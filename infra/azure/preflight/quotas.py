"""Checks of HDInsight's own quotas of cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.preflight.cloud import Cloud
from infra.azure.settings import sizes
from infra.preflight.finding import CloudCheck, Finding
from infra.settings.commands import set_command

if TYPE_CHECKING:
    from infra.azure.arm import Document
    from infra.azure.settings.config import AzureConfig

NAME: Final = "quota: cores"
ALL: Final = "cores"
"""HDInsight's name of the quota for all families together."""
MORE: Final = "Ask for more in the portal (Help + support, New support request, quota type Azure HDInsight)"


@dataclass(frozen=True)
class Demand:
    """Cores of all machines together, and by family; `words` describe the machines."""

    cores: int
    families: Mapping[str, int]
    words: str


def demand(config: AzureConfig) -> Demand:
    """Return the demand with the maximum number of workers. Pure."""
    table = sizes.table().sizes
    families: Counter[str] = Counter()
    for one in config.machines:
        families[table[one.size].family] += one.max_count * table[one.size].vcpus
    words = ", ".join(f"{one.max_count} {one.words} as {one.size}" for one in config.machines)
    return Demand(sum(families.values()), families, words)


def own(cluster: Document | None) -> Demand:
    """Return what the stack's own cluster already uses, given Azure's description of it. Pure."""
    properties = (cluster or {}).get("properties", {})
    families: Counter[str] = Counter()
    for role in properties.get("computeProfile", {}).get("roles", []):
        size = sizes.table().find(str(role.get("hardwareProfile", {}).get("vmSize", "")))
        if size is not None:
            families[size.family] += int(role.get("targetInstanceCount", 0)) * size.vcpus
    used = int((properties.get("quotaInfo") or {}).get("coresUsed", 0))
    return Demand(used, families, "")


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check; it compares the quotas of families, too."""
    return [CloudCheck(NAME, lambda cloud: _quotas(cloud, config, stack))]


def _quotas(cloud: Cloud, config: AzureConfig, stack: str) -> list[Finding]:
    with azure.translate_errors(f"asking for HDInsight's quota in {config.region}", stack):
        usages = cloud.locations.list_usages(config.region).value or []
    wanted, mine = demand(config), own(cloud.cluster)
    found = []
    for usage in usages:
        name = str(usage.name.value if usage.name else "").lower()
        family = next((one for one in wanted.families if one.lower() == name), None)
        if name == ALL:
            title, need, taken = NAME, wanted.cores, mine.cores
        elif family is not None:
            title, need, taken = f"quota: {family}", wanted.families[family], mine.families.get(family, 0)
        else:
            continue
        left = (usage.limit or 0) - max((usage.current_value or 0) - taken, 0)
        said = f"{need} cores needed ({wanted.words}), {left} left of {usage.limit or 0}"
        if need <= left:
            found.append(Finding(title, "passed", said))
            continue
        # Fewer workers do not help another family.
        fewer = _fewer(config, need - left, stack) if family in (None, config.worker.family) else ""
        found.append(Finding(title, "failed", f"{said}: {need - left} too few", f"{MORE}{fewer}."))
    return found or [Finding(NAME, "note", f"HDInsight lists no quota of cores in {config.region}")]


def _fewer(config: AzureConfig, short: int, stack: str) -> str:
    """Return the command that reduces the workers to what fits; empty if other settings forbid it. Pure."""
    scale = config.autoscale
    if scale is None:
        key, minimum = "workers", 1
    elif scale.by_load:
        key, minimum = "autoscale.max", max(scale.bounds[0] + 1, config.workers)
    else:
        return ""
    fitting = config.bounds[1] - -(-short // config.worker.vcpus)
    return (
        f", or use fewer workers: `{set_command(key, fitting)} --stack {stack}`" if fitting >= minimum else ""
    )
