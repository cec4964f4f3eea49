"""Setting `fallbackAfter`: workers on demand when the spot market has none. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BeforeValidator

from infra.settings.budget import seconds_of
from infra.settings.commands import rm_command
from infra.settings.fields import Unset
from infra.settings.refusal import Refusal
from infra.settings.section import Hint

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

LEAST_S: Final = 300
"""The group itself tries its other types and zones in the first minutes."""
MOST_S: Final = 24 * 3600

FallbackAfter = Annotated[
    int | None,
    BeforeValidator(partial(seconds_of, least=LEAST_S, most=MOST_S)),
    Unset,
    Hint('"10 min"', f"{LEAST_S // 60} min to {MOST_S // 3600} h, e.g. 10 min or 1 h; or leave it out"),
]
"""Seconds."""


def check(config: AwsConfig) -> None:
    """Refuse it where no worker is a spot instance."""
    if config.fallback_after is None or config.spot:
        return
    if config.on_demand_percentage:
        other = f"onDemandPercentage: {config.on_demand_percentage}"
    else:
        other = f"onDemandBase: {config.on_demand_base}, maxWorkers: {config.max_workers}"
    why = f"no worker is a spot instance ({other}); valid: spot workers, or leave it out"
    minutes = f"{config.fallback_after // 60} min"
    raise Refusal("fallbackAfter", minutes, why, rm_command("fallbackAfter"))
