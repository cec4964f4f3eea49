"""Prices of a stack on Azure in its cluster document: those of `fab cost`, by node."""

from __future__ import annotations

from typing import Any

import pytest

from infra.azure.cost import prices
from infra.azure.cost.document import cluster_prices
from infra.azure.cost.hourly import hourly
from infra.azure.settings.config import AzureConfig


def config(**values: Any) -> AzureConfig:
    given = {"region": "westeurope", "workers": 3, "adminCidrs": ["203.0.113.7/32"], **values}
    return AzureConfig.model_validate(given)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"workers": 5},
        {"autoscale": {"min": 3, "max": 6}},
        {"privateLink": True, "resourceProviderConnection": "outbound"},
    ],
)
def test_an_hour_of_the_whole_cluster_is_what_fab_cost_says(values: dict[str, Any]) -> None:
    stack, table = config(**values), prices.load()
    bill, found = hourly(stack, table), cluster_prices(stack, table)
    # However many of its workers a job uses.
    for workers in (1, stack.workers):
        hour = found.hourly(workers)
        assert (hour.low, hour.high, hour.missing) == (bill.low, bill.high, ())
    assert found.whole
