"""Check of the number of workers: HDFS has copies on three."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.azure.settings import few_workers
from infra.preflight.finding import Finding, LocalCheck

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

NAME: Final = "workers"


def checks(config: AzureConfig, stack: str) -> list[LocalCheck]:
    """Return the check; none with enough workers."""
    why = few_workers.harm(config)
    if not why:
        return []
    finding = Finding(NAME, "note", f"{config.workers}: {why}", few_workers.fix(stack))
    return [LocalCheck(NAME, lambda: finding)]
