"""Check of `budget.perHour`: the estimate of an hour against what the stack may cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from infra.preflight.finding import Finding, LocalCheck
from infra.settings.budget import require_within

if TYPE_CHECKING:
    from infra.cost.bill import Bill
    from infra.settings.section import StackSettings

NAME: Final = "budget"


def checks(
    config: StackSettings, stack: str, bill: Callable[[], Bill], lower: Mapping[str, object]
) -> list[LocalCheck]:
    """Return the check; none without a limit. `lower` are settings by which a stack may cost less."""
    limit = config.budget and config.budget.per_hour
    if limit is None:
        return []

    def look() -> Finding:
        found = bill()
        require_within(config, found, stack, lower)
        shown = f"{found.total_text}, of {limit} USD/h"
        return Finding(NAME, "note" if found.missing else "passed", shown)

    return [LocalCheck(NAME, look)]
