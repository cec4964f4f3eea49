"""Values of single settings of a stack on AWS: regions, percentages, prices, sizes and ids. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from infra.aws.settings import regions
from infra.settings.fields import known_region

MIN_VOLUME_GB: Final = 20
MAX_VOLUME_GB: Final = 16384
"""Limits of a gp3 volume: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html"""
MAX_KEY_PAIR: Final = 255
VOLUME_GB: Final = f"{MIN_VOLUME_GB} to {MAX_VOLUME_GB} (GB)"
AMI: Final = "ami- and 8 or 17 hexadecimal digits"

_PRICE: Final = re.compile(r"\d+(\.\d+)?")


def known(name: str) -> str:
    """Validate the name of a region.

    Raises:
        ValueError: the table does not have it, or not what it offers.
    """
    table = regions.table()
    if name in table.unsettled:
        raise ValueError(f"what it offers is not known to our table of {table.date} ({regions.SHOWN})")
    return known_region(name, table.regions, f"our table of {table.date} ({regions.SHOWN})")


def _price(value: object) -> object:
    """Validate a plain number; Decimal also accepts `1e3`, `NaN` and ` 1`. Callers without an engine pass
    floats."""
    if not _PRICE.fullmatch(str(value)):
        raise ValueError("it must be a plain number, in USD per hour")
    return str(value)


Percentage = Annotated[int, Field(ge=0, le=100)]
Volume = Annotated[int, Field(ge=MIN_VOLUME_GB, le=MAX_VOLUME_GB)]
Price = Annotated[Decimal, BeforeValidator(_price), Field(gt=0)]
Ami = Annotated[str, Field(pattern=r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$")]
KeyPair = Annotated[str, Field(max_length=MAX_KEY_PAIR)]
