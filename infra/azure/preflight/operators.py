"""Check of `adminCidrs`: the ranges are not reserved for documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.azure.settings import examples
from infra.preflight.finding import Finding, LocalCheck, failure

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

NAME: Final = "adminCidrs"


def checks(config: AzureConfig, stack: str) -> list[LocalCheck]:
    """Return the check; none if no range is allowed."""
    if config.part == "storage" or not config.admin_cidrs:
        return []
    return [LocalCheck(NAME, lambda: _somebody(config, stack))]


def _somebody(config: AzureConfig, stack: str) -> Finding:
    fault = examples.fault(config, stack)
    if fault is not None:
        return failure(NAME, fault)
    let_in = ", ".join(map(str, config.admin_cidrs))
    return Finding(NAME, "passed", f"{let_in}; not checked against your own address")
