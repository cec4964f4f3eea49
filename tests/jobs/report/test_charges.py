"""Arithmetic of receipts on recorded cases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bootstrap.cluster import NodePrice, Part, Prices
from bootstrap.inventory.machines import Machine
from jobs.report.charges import Bill, expected, receipt
from jobs.report.history import History
from jobs.report.receipt import Receipt
from jobs.trainer import contract
from jobs.trainer.contract import Event, stamped

HOUR = 3600.0
ZONE = "eu-west-1a"


def price(role: Any, kind: str, low: str, high: str = "", **rest: Any) -> NodePrice:
    return NodePrice(role=role, type=kind, low=Decimal(low), high=Decimal(high or low), **rest)


def part(what: str, usd: str) -> Part:
    return Part(what=what, low=Decimal(usd), high=Decimal(usd))


HEAD = price("head", "m6i.xlarge", "0.20")
G4DN = price("worker", "g4dn.xlarge", "0.25", "0.35", market="spot")
AWS = Prices(
    nodes=(HEAD, G4DN),
    per_worker=(part("disks of the workers", "0.02"),),
    fixed=(part("NAT gateway", "0.05"), part("public IPv4 addresses", "0.01")),
    source="a table of 2026-11-24",
)


def history(*events: tuple[float, Event]) -> History:
    return History([stamped(event, at) for at, event in events])


def executors(*hosts: str) -> contract.Executors:
    places = {str(number): {"host": host, "container": ""} for number, host in enumerate(hosts)}
    return contract.Executors("app-1", places)


def charged(events: History, bill: Bill, hours: float, **rest: Any) -> Receipt:
    return receipt(events, bill, begin=0.0, end=hours * HOUR, outcome="done", **rest)


def spot(launched: float | None = None, ended: float | None = None) -> list[Machine]:
    return [Machine("g4dn.xlarge", "spot", ZONE, launched, ended)]


def test_an_on_demand_head_counts_apart_and_as_long_as_the_job() -> None:
    found = charged(history((9.0, executors("w1", "w2"))), Bill(AWS, 2), 2.0)
    head, workers, disks, nat, address = found.lines
    assert (head.what, head.hours) == ("head, m6i.xlarge on demand", Decimal(2))
    assert head.cost.high == Decimal("0.40")
    assert (workers.what, workers.count, workers.hours) == ("workers, g4dn.xlarge on spot", 2, Decimal(4))
    assert (workers.cost.low, workers.cost.high) == (Decimal("1.00"), Decimal("1.40"))
    assert (disks.hours, disks.cost.high) == (Decimal(4), Decimal("0.08"))
    assert (nat.cost.high, address.cost.high) == (Decimal("0.10"), Decimal("0.02"))
    assert (found.cost.low, found.cost.high) == (Decimal("1.60"), Decimal("2.00"))


def test_a_price_that_changes_during_a_job_is_charged_at_each_moments_price() -> None:
    changes = [(-HOUR, Decimal("0.20")), (HOUR, Decimal("0.40")), (2 * HOUR, Decimal("0.30"))]
    bill = Bill(AWS, 1, {"w1": spot()}, {("g4dn.xlarge", ZONE): changes})
    found = charged(history((9.0, executors("w1"))), bill, 2.5)
    workers = found.lines[1]
    # 1 h at 0.20, 1 h at 0.40, half an hour at 0.30
    assert (workers.cost.low, workers.cost.high) == (Decimal("0.75"), Decimal("0.75"))
    assert workers.each.high == Decimal("0.3")


def test_before_the_first_known_change_the_stacks_own_price_counts() -> None:
    bill = Bill(AWS, 1, {"w1": spot()}, {("g4dn.xlarge", ZONE): [(HOUR, Decimal("0.40"))]})
    workers = charged(history((9.0, executors("w1"))), bill, 2.0).lines[1]
    assert (workers.cost.low, workers.cost.high) == (Decimal("0.65"), Decimal("0.75"))


def test_prices_of_another_zone_are_not_this_machines() -> None:
    bill = Bill(AWS, 1, {"w1": spot()}, {("g4dn.xlarge", "eu-west-1b"): [(0.0, Decimal(9))]})
    workers = charged(history((9.0, executors("w1"))), bill, 1.0).lines[1]
    assert (workers.cost.low, workers.cost.high) == (Decimal("0.25"), Decimal("0.35"))


def test_an_on_demand_worker_does_not_pay_spot_prices() -> None:
    prices = AWS.model_copy(update={"nodes": (HEAD, G4DN, price("worker", "g4dn.xlarge", "0.60"))})
    machine = Machine("g4dn.xlarge", "on-demand", ZONE)
    bill = Bill(prices, 1, {"w1": [machine]}, {("g4dn.xlarge", ZONE): [(0.0, Decimal("0.10"))]})
    workers = charged(history((9.0, executors("w1"))), bill, 2.0).lines[1]
    assert (workers.what, workers.cost.high) == ("worker, g4dn.xlarge on demand", Decimal("1.20"))


def test_an_interrupted_worker_counts_while_it_was_there_and_its_replacement_from_its_launch() -> None:
    events = history(
        (9.0, executors("w1", "w2")),
        (HOUR, contract.Interruption("w2", "spot", HOUR + 120)),
        (HOUR + 10, contract.WorkersLost(100, ["w2"])),
        (HOUR + 20, contract.Recovery(2, 100, 1, 2, hosts=["w1"])),
        (2 * HOUR, contract.Recovery(3, 200, 2, 2, hosts=["w1", "w3"])),
    )
    found = charged(events, Bill(AWS, 2, {"w3": spot(launched=1.5 * HOUR)}), 3.0)
    workers = found.lines[1]
    # w1 3 h, w2 1 h and two minutes, w3 an hour, since it joined
    assert workers.hours * 3600 == 5 * 3600 + 120
    assert workers.count == 3
    assert (found.losses.interruptions, found.losses.announced) == (1, 1)


def test_a_machine_that_its_cloud_launched_later_or_ended_earlier_counts_no_longer_than_that() -> None:
    machines = {"w1": spot(launched=0.5 * HOUR), "w2": spot(ended=1.5 * HOUR)}
    workers = charged(history((2000.0, executors("w1", "w2"))), Bill(AWS, 2, machines), 2.0).lines[1]
    assert workers.hours == 3


def test_of_two_machines_with_one_address_each_stay_is_charged_by_its_own() -> None:
    prices = AWS.model_copy(update={"nodes": (HEAD, G4DN, price("worker", "g5.xlarge", "1", market="spot"))})
    first = Machine("g4dn.xlarge", "spot", ZONE, 0.0, HOUR)
    second = Machine("g5.xlarge", "spot", ZONE, 2 * HOUR)
    events = history(
        (9.0, executors("w1")),
        (HOUR - 120, contract.Interruption("w1", "spot", HOUR)),
        (HOUR - 110, contract.WorkersLost(100, ["w1"])),
        (3 * HOUR, contract.Recovery(2, 100, 1, 1, hosts=["w1"])),
    )
    lines = charged(events, Bill(prices, 1, {"w1": [first, second]}), 4.0).lines
    assert [(line.type, line.hours) for line in lines if line.role == "worker"] == [
        ("g4dn.xlarge", Decimal(1)),
        ("g5.xlarge", Decimal(1)),
    ]


def test_a_worker_whose_type_nobody_knows_any_more_costs_the_range_of_all_and_says_so() -> None:
    prices = AWS.model_copy(update={"nodes": (HEAD, G4DN, price("worker", "g5.xlarge", "1", market="spot"))})
    found = charged(history((9.0, executors("w1"))), Bill(prices, 1), 1.0)
    workers = found.lines[1]
    assert (workers.what, workers.cost.low, workers.cost.high) == (
        "worker, of any type on spot",
        Decimal("0.25"),
        Decimal(1),
    )
    assert "type and market of w1 are not known" in found.notes[0]


def test_azures_cluster_is_charged_whole_for_the_jobs_time() -> None:
    azure = Prices(
        nodes=(
            price("head", "E8", "0.70", count=2),
            price("worker", "E8", "0.70", count=3, max_count=6),
            price("zookeeper", "A2", "0.10", count=3),
        ),
        fixed=(part("NAT gateway", "0.04"),),
        whole=True,
        source="a table",
    )
    found = charged(history((9.0, executors("wn1"))), Bill(azure, 3), 0.5)
    assert [line.what for line in found.lines] == [
        "heads, E8 on demand",
        "3 to 6 workers, E8 on demand",
        "zookeepers, A2 on demand",
        "NAT gateway",
    ]
    assert (found.cost.low, found.cost.high) == (Decimal("1.92"), Decimal("2.97"))


def test_a_price_that_is_not_known_makes_the_total_at_least() -> None:
    prices = AWS.model_copy(update={"fixed": (Part(what="NAT gateway"),)})
    found = charged(history((9.0, executors("w1"))), Bill(prices, 1), 1.0)
    assert found.cost.missing == ("NAT gateway",)
    assert (found.cost.low, found.cost.text) == (Decimal("0.47"), "at least 0.47 to 0.57 USD")
    assert found.document()["usd"] == {"low": 0.47, "high": 0.57, "missing": ["NAT gateway"]}
    (gateway,) = [one for one in found.document()["other"] if one["what"] == "NAT gateway"]
    assert gateway["usd"] == {"low": None, "high": None, "missing": ["NAT gateway"]}, "0 would be free"


def test_a_job_whose_executors_never_registered_counts_no_worker_and_says_so() -> None:
    found = charged(history((9.0, contract.Phase("start"))), Bill(AWS, 2), 1.0)
    assert found.cost.high == Decimal("0.26")
    assert found.notes == ("no executor had registered: no worker is counted",)


def test_an_end_before_the_beginning_is_a_job_of_no_time() -> None:
    found = receipt(history(), Bill(AWS, 2), begin=50.0, end=10.0, outcome="killed")
    assert (found.wall_seconds, found.cost.high) == (0.0, Decimal(0))


def test_the_estimate_is_the_time_and_worker_hours_of_before_at_todays_prices() -> None:
    found = expected(AWS, 2 * HOUR, 3.0, "mnist-1")
    # 2 h of head, NAT and addresses; 3 h of a worker with its disk
    assert (found.cost.low, found.cost.high) == (Decimal("1.33"), Decimal("1.63"))


@pytest.mark.parametrize("outcome", ["done", "failed", "killed", "lost"])
def test_the_document_has_all_that_the_receipt_has(outcome: str) -> None:
    found = receipt(
        history((9.0, executors("w1"))),
        Bill(AWS, 1),
        begin=100.0,
        end=100.0 + HOUR,
        outcome=outcome,
        estimate=expected(AWS, HOUR, 1.0, "mnist-1"),
        like="abc",
    ).document()
    assert (found["outcome"], found["begin"], found["wall_seconds"]) == (outcome, 100.0, 3600.0)
    assert found["nodes"][1] == {
        "what": "worker, g4dn.xlarge on spot",
        "role": "worker",
        "type": "g4dn.xlarge",
        "market": "spot",
        "count": 1,
        "hours": 1.0,
        "usd": {"low": 0.25, "high": 0.35, "missing": []},
    }
    assert found["estimate"] == {
        "usd": {"low": 0.53, "high": 0.63, "missing": []},
        "seconds": 3600.0,
        "basis": "mnist-1",
    }
    assert (found["like"], found["lost_seconds"], found["interruptions"]) == ("abc", 0.0, 0)


def test_a_worker_lost_without_notice_that_runs_on_by_its_cloud_is_paid_to_the_end() -> None:
    events = history((9.0, executors("w1")), (HOUR, contract.WorkersLost(100, ["w1"], "executor-lost")))
    assert charged(events, Bill(AWS, 1), 3.0).lines[1].hours == 1
    assert charged(events, Bill(AWS, 1, {"w1": spot(0.0)}), 3.0).lines[1].hours == 3
    assert charged(events, Bill(AWS, 1, {"w1": spot(0.0, 1.5 * HOUR)}), 3.0).lines[1].hours == Decimal("1.5")


def test_a_worker_that_is_gone_and_nobody_says_since_when_is_paid_to_its_loss() -> None:
    events = history((9.0, executors("w1")), (HOUR, contract.WorkersLost(100, ["w1"], "executor-lost")))
    gone = Machine("g4dn.xlarge", "spot", ZONE, 0.0, gone=True)
    assert charged(events, Bill(AWS, 1, {"w1": [gone]}), 3.0).lines[1].hours == 1
