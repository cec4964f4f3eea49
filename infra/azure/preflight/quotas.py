"""Whether HDInsight's own quota of cores has room for the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootstrap import azure
from infra.azure import sizes
from infra.azure.config import HEADS, ZOOKEEPERS
from infra.azure.preflight.cloud import Cloud
from infra.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.azure.config import AzureConfig

NAME: Final = "quota: cores"
ALL: Final = "cores"
"""What HDInsight calls the quota of all families together."""
MORE: Final = "ask for more in the portal (Help + support, New support request, quota type Azure HDInsight)"


@dataclass(frozen=True)
class Demand:
    """Cores of all machines together, and of each family; `words` say where they come from."""

    cores: int
    families: dict[str, int]
    words: str


def demand(config: AzureConfig) -> Demand:
    """What the stack may have running at once, with as many workers as there may be. Pure."""
    table = sizes.table().sizes
    parts = (
        (HEADS, "heads", table[config.head_size]),
        (config.most_workers, "workers", table[config.worker_size]),
        (ZOOKEEPERS, "ZooKeepers", table[config.zookeeper_size]),
    )
    families: dict[str, int] = {}
    for count, _, size in parts:
        families[size.family] = families.get(size.family, 0) + count * size.vcpus
    words = ", ".join(f"{count} {what} as {size.name}" for count, what, size in parts)
    return Demand(sum(families.values()), families, words)


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """One question; what Azure lists of families is held against the stack's, too."""
    return [CloudCheck(NAME, lambda cloud: _quotas(cloud, config, stack))]


def _quotas(cloud: Cloud, config: AzureConfig, stack: str) -> list[Finding]:
    with azure.in_our_words(f"asking for HDInsight's quota in {config.region}", stack):
        usages = cloud.locations.list_usages(config.region).value or []
    wanted, mine = demand(config), _own(cloud)
    found = []
    for usage in usages:
        name = str(usage.name.value if usage.name else "")
        family = next((one for one in wanted.families if one.lower() == name.lower()), None)
        if name.lower() != ALL and family is None:
            continue
        need = wanted.cores if family is None else wanted.families[family]
        # What the stack's own cluster uses is not used by another one.
        others = max((usage.current_value or 0) - (mine if family is None else 0), 0)
        title = NAME if family is None else f"quota: {family}"
        found.append(_fits(title, need, others, usage.limit or 0, config, stack, wanted.words))
    if found:
        return found
    return [Finding(NAME, "note", f"HDInsight lists no quota of cores in {config.region}")]


def _own(cloud: Cloud) -> int:
    info = (cloud.cluster or {}).get("properties", {}).get("quotaInfo") or {}
    return int(info.get("coresUsed", 0))


def _fits(  # noqa: PLR0917 - all of one sentence
    title: str, need: int, used: int, limit: int, config: AzureConfig, stack: str, words: str
) -> Finding:
    """Whether the demand fits into what is left. Pure."""
    left = limit - used
    said = f"{need} cores needed ({words}), {left} left of {limit}"
    if need <= left:
        return Finding(title, "holds", said)
    each = config.worker.vcpus
    fitting = config.most_workers - -(-(need - left) // each)
    fix = f"{MORE[0].upper()}{MORE[1:]}"
    said += f": {need - left} too few"
    if fitting >= 1:
        key = "autoscale.max" if config.autoscale else "workers"
        fix += f", or take fewer: `pulumi config set --path {key} {fitting} --stack {stack}`"
    return Finding(title, "fails", said, f"{fix}.")
