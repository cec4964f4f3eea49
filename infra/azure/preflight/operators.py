"""Who is let in to SSH, the gateway and the storage account: that it is somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.azure.settings import examples
from infra.preflight.finding import Finding, LocalCheck, failure

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

NAME: Final = "adminCidrs"


def checks(config: AzureConfig, stack: str) -> list[LocalCheck]:
    """Nothing where nobody is let in from outside."""
    if config.part == "storage" or not config.admin_cidrs:
        return []
    return [LocalCheck(NAME, lambda: _somebody(config, stack))]


def _somebody(config: AzureConfig, stack: str) -> Finding:
    fault = examples.fault(config, stack)
    if fault is not None:
        return failure(NAME, fault)
    let_in = ", ".join(map(str, config.admin_cidrs))
    return Finding(NAME, "holds", f"{let_in}; whether you come from there, nobody was asked")
