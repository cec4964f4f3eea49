"""Prices in the cluster document."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from bootstrap.cluster import ClusterDocument, NodePrice, Part, Prices

HEAD = NodePrice(role="head", type="m6i.xlarge", low=Decimal("0.2"), high=Decimal("0.2"))
SPOT = NodePrice(role="worker", type="g4dn.xlarge", market="spot", low=Decimal("0.3"), high=Decimal("0.4"))
ON_DEMAND = NodePrice(role="worker", type="g4dn.xlarge", low=Decimal("0.6"), high=Decimal("0.6"))
NAT = Part(what="NAT gateway", low=Decimal("0.05"), high=Decimal("0.05"))
DISK = Part(what="disks of the workers", low=Decimal("0.01"), high=Decimal("0.01"))


def prices(*nodes: NodePrice, **rest: Any) -> Prices:
    return Prices(nodes=(HEAD, *nodes), fixed=(NAT,), per_worker=(DISK,), source="a table", **rest)


def test_an_hour_is_the_head_what_is_fixed_and_each_worker_with_what_comes_with_it() -> None:
    found = prices(SPOT).hourly(2)
    assert (found.low, found.high) == (Decimal("0.87"), Decimal("1.07"))


def test_a_worker_of_unknown_type_costs_the_range_of_all() -> None:
    found = prices(SPOT, ON_DEMAND).any_worker
    assert (found.low, found.high, found.missing) == (Decimal("0.3"), Decimal("0.6"), ())


def test_a_type_without_a_price_makes_the_hour_at_least() -> None:
    found = prices(SPOT, NodePrice(role="worker", type="g5.xlarge", market="spot")).hourly(1)
    assert found.missing == ("g5.xlarge on spot",)
    assert found.low == Decimal("0.56")


def test_a_type_that_the_document_does_not_have_has_no_price() -> None:
    assert prices(SPOT).worker("p3.2xlarge", "spot").hourly.missing == ("p3.2xlarge on spot",)
    assert prices(SPOT).worker("g4dn.xlarge", "on-demand").hourly.missing == ("g4dn.xlarge on demand",)


def test_a_cluster_that_is_billed_whole_costs_all_its_nodes_whatever_is_used() -> None:
    worker = NodePrice(role="worker", type="E8", low=Decimal(1), high=Decimal(1), count=3, max_count=6)
    zookeeper = NodePrice(role="zookeeper", type="A2", low=Decimal("0.1"), high=Decimal("0.1"), count=3)
    whole = Prices(nodes=(HEAD, worker, zookeeper), fixed=(NAT,), whole=True, source="a table")
    found = whole.hourly(1)
    assert (found.low, found.high) == (Decimal("3.55"), Decimal("6.55"))


@pytest.mark.parametrize("fault", [{"low": "1"}, {"low": "2", "high": "1"}, {"low": "-1", "high": "1"}])
def test_a_price_is_a_range_or_nothing(fault: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        NodePrice.model_validate({"role": "head", "type": "x", **fault})


def test_the_document_keeps_prices_to_the_last_digit(cluster_document: dict[str, object]) -> None:
    sent = json.loads(json.dumps(prices(SPOT).model_dump(mode="json")))
    document = ClusterDocument.from_outputs("dev", {"cluster": {**cluster_document, "prices": sent}})
    assert document.prices == prices(SPOT)


def test_a_document_of_an_earlier_version_has_neither_prices_nor_limits(
    cluster_document: dict[str, object],
) -> None:
    document = ClusterDocument.from_outputs("dev", {"cluster": cluster_document})
    assert (document.prices, document.limits) == (None, None)
