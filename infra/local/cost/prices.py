"""Prices of a stack on this machine: nothing is billed."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from bootstrap.cluster import NodePrice, Prices

_NOTHING: Final = Decimal(0)
PRICES: Final = Prices(
    nodes=(
        NodePrice(role="head", type="this machine", low=_NOTHING, high=_NOTHING),
        NodePrice(role="worker", type="this machine", low=_NOTHING, high=_NOTHING),
    ),
    source="this machine",
)
