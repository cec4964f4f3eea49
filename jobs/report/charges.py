"""Charges of a job: its workers while they were there, the rest of the cluster for its time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from bootstrap.cluster.prices import NodePrice, Prices
from bootstrap.inventory.machines import Machine, SpotPrices, one_of
from bootstrap.money import Amount, hours_of, total
from jobs.report.history import History
from jobs.report.receipt import Estimate, Line, Receipt
from jobs.report.stays import Stay, losses, stays


@dataclass(frozen=True)
class Bill:
    """What is known of a job and its cluster besides the job's events."""

    prices: Prices
    workers: int
    """Workers of the cluster."""
    machines: Mapping[str, Sequence[Machine]] = field(default_factory=dict)
    """By host, those that the cloud still knows; several where an address was given away again."""
    spot: SpotPrices = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of nodes by address."""
    notes: tuple[str, ...] = ()


def receipt(
    history: History,
    bill: Bill,
    *,
    begin: float,
    end: float,
    outcome: str,
    estimate: Estimate | None = None,
    like: str = "",
) -> Receipt:
    """Return the receipt of a job that ran from `begin` to `end`, in seconds since the epoch."""
    end = max(begin, end)
    wall = hours_of(end - begin)
    prices = bill.prices
    present = [_known(stay, bill.machines, end) for stay in stays(history, begin, end, bill.names)]
    lines = [_resident(node, wall) for node in prices.nodes if prices.whole or node.role != "worker"]
    notes = list(bill.notes)
    if prices.whole:
        beside = hours_of((end - begin) * bill.workers)
    else:
        beside = sum((hours_of(stay.seconds) for stay, _ in present), Decimal(0))
        lines += _workers(present, bill, notes)
    lines += [Line(part.what, beside, part.hourly * beside) for part in prices.per_worker if beside]
    lines += [Line(part.what, wall, part.hourly * wall) for part in prices.fixed]
    if not present and not prices.whole:
        notes.append("no executor had registered: no worker is counted")
    return Receipt(
        begin=begin,
        end=end,
        outcome=outcome,
        lines=tuple(lines),
        losses=losses(history, end),
        source=prices.source,
        free=prices.free,
        estimate=estimate,
        notes=tuple(notes),
        like=like,
    )


def expected(prices: Prices, wall_seconds: float, worker_hours: float, basis: str) -> Estimate:
    """Return the estimate of a job that takes so long, on workers for so many hours together."""
    wall = hours_of(wall_seconds)
    if prices.whole:
        return Estimate(prices.hourly(0) * wall, wall_seconds, basis)
    each = prices.any_worker + prices.beside_worker
    return Estimate(prices.base * wall + each * Decimal(str(worker_hours)), wall_seconds, basis)


def _known(stay: Stay, machines: Mapping[str, Sequence[Machine]], end: float) -> tuple[Stay, Machine | None]:
    """Return the machine of a stay, if its cloud knows it, and the stay as far as that was there.

    A machine that was lost without notice, and that runs on by its cloud, stays until the job's end; one that
    is gone, until the loss, if its cloud does not tell since when.
    """
    machine = one_of(machines.get(stay.host, ()), stay.begin, stay.end)
    if machine is None:
        return stay, None
    begin = max(stay.begin, machine.launched or 0.0)
    told = machine.ended is not None or not machine.gone
    last = end if told and not stay.sure else stay.end
    return Stay(stay.host, begin, max(begin, min(last, machine.ended or last))), machine


def _resident(node: NodePrice, wall: Decimal) -> Line:
    """Return the line of nodes that are there as long as the job is."""
    most = node.max_count or node.count
    count = f"{node.count} to {most} " if most != node.count else ""
    return Line(
        f"{count}{_noun(node.role, most)}, {node.label}",
        wall * node.count,
        node.all_of_them * wall,
        node.count,
        node.role,
        node.type,
        node.market,
    )


def _workers(present: Sequence[tuple[Stay, Machine | None]], bill: Bill, notes: list[str]) -> list[Line]:
    """Return a line for each type and market of the workers."""
    groups: dict[tuple[str, str], list[tuple[Stay, Amount]]] = {}
    for stay, machine in present:
        kind = (machine.type, machine.market) if machine else _any_kind(bill.prices)
        groups.setdefault(kind, []).append((stay, _cost(stay, machine, bill)))
    unknown = dict.fromkeys(stay.host for stay, machine in present if machine is None)
    if unknown and len(bill.prices.of("worker")) > 1:
        notes.append(
            f"type and market of {', '.join(unknown)} are not known: the range of all that the group may have"
        )
    return [
        Line(
            f"{_noun('worker', len(hosts))}, {_label(kind, market)}",
            sum((hours_of(stay.seconds) for stay, _ in group), Decimal(0)),
            total([cost for _, cost in group]),
            len(hosts),
            "worker",
            kind,
            market,
        )
        for (kind, market), group in sorted(groups.items())
        for hosts in [{stay.host for stay, _ in group}]
    ]


def _any_kind(prices: Prices) -> tuple[str, str]:
    """Return the type and market of a worker of which no more is known; empty where there are several."""
    kinds = {node.type for node in prices.of("worker")}
    markets = {node.market for node in prices.of("worker")}
    return (kinds.pop() if len(kinds) == 1 else "", markets.pop() if len(markets) == 1 else "")


def _noun(role: str, count: int) -> str:
    return role if count == 1 else f"{role}s"


def _label(kind: str, market: str) -> str:
    where = {"on-demand": "on demand", "spot": "on spot"}.get(market, "on spot or on demand")
    return f"{kind or 'of any type'} {where}"


def _cost(stay: Stay, machine: Machine | None, bill: Bill) -> Amount:
    """Return the cost of a stay: at each moment's price where that is known, else at the stack's."""
    if machine is None:
        return bill.prices.any_worker * hours_of(stay.seconds)
    usual = bill.prices.worker(machine.type, machine.market).hourly
    changes = bill.spot.get((machine.type, machine.zone), ()) if machine.market == "spot" else ()
    return total([(price or usual) * hours_of(seconds) for seconds, price in _segments(stay, changes)])


def _segments(stay: Stay, changes: Sequence[tuple[float, Decimal]]) -> list[tuple[float, Amount | None]]:
    """Return the seconds of a stay at each price, which is None before the first change."""
    marks: list[tuple[float, Amount | None]] = [(float("-inf"), None)]
    marks += [(at, Amount(price, price)) for at, price in changes]
    bounds = [*marks, (float("inf"), None)]
    found = [
        (min(stay.end, until) - max(stay.begin, at), price) for (at, price), (until, _) in pairwise(bounds)
    ]
    return [(seconds, price) for seconds, price in found if seconds > 0]
