"""The setting `cloudLogs` of a stack on AWS. Pure."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from infra.settings.fields import Unset
from infra.settings.section import Hint, Section

RETENTIONS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922),
    *(3288, 3653),
)
"""Days that CloudWatch Logs keeps events for; read on 2026-11-30:
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
DEFAULT_DAYS: Final = 30
_DAYS: Final = ", ".join(map(str, RETENTIONS))


def _number(value: object) -> object:
    """Refuse `true`, which would be a day."""
    if isinstance(value, bool):
        raise ValueError("it is not a number of days")
    return value


def _retention(days: int) -> int:
    if days not in RETENTIONS:
        raise ValueError("CloudWatch keeps logs for certain numbers of days alone")
    return days


class CloudLogs(Section):
    """Logs of the machines in CloudWatch."""

    retention_days: Annotated[
        int, BeforeValidator(_number), AfterValidator(_retention), Hint(str(DEFAULT_DAYS), _DAYS)
    ] = DEFAULT_DAYS


def _switch(value: object) -> object:
    """Return an empty mapping for `true`, and None for `false`, however an engine passes them."""
    match value:
        case True | "true":
            return {}
        case False | "false":
            return None
        case _:
            return value


CloudLogsSetting = Annotated[
    CloudLogs | None,
    BeforeValidator(_switch),
    Unset,
    Hint("true", "true, false, or {retentionDays: DAYS}"),
]
