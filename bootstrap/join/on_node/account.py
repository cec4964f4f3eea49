"""Arithmetic of a stack's account: what an hour costs, what has been spent, which limit is reached. Pure;
standard library only."""

import math
from decimal import Decimal
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

GAP = 300
"""Seconds without an account after which that is told; they are counted as if nothing had changed."""
RUNNING, STOPPING, STOPPED = "running", "stopping", "stopped"
BUDGET, IDLE, JOINING = "budget", "idle", "joining"

Prices = Mapping[str, Any]
"""`bootstrap.cluster.Prices`, as JSON."""
Spot = Mapping[Tuple[str, str], Decimal]
"""USD an hour by type and zone."""


class Instance(NamedTuple):
    id: str
    type: str
    zone: str
    state: str
    market: str = ""
    """`spot` or `on-demand`, by EC2; empty where EC2 has not told."""


LATER: Dict[str, Any] = {
    # `bootstrap.join.on_node.joining`: failures to join in a row; the last one's reason, machine and log
    "failures": 0,
    "failed": "",
    "failed_instance": "",
    "log": "",
    # `bootstrap.join.on_node.fallback`
    "dry_since": 0.0,
    "dry": "",
    "fallback": 0,
    "fallback_at": 0.0,
    "trying": 0.0,
    "surplus": 0,
    "fallback_error": "",
    "fell_back": 0.0,
    "returned": 0.0,
}
"""Fields that accounts of earlier versions lack, as they lack `members`."""


def new(now: float) -> Dict[str, Any]:
    """Return an account that begins now."""
    return {
        "version": 1,
        "since": now,
        "at": now,
        "usd": "0",
        "missing": [],
        "worker_seconds": 0.0,
        "workers": 0,
        "desired": 0,
        "hourly": "0",
        "state": RUNNING,
        "why": "",
        "said": "",
        "changed": now,
        "idle_since": now,
        "head_stopped": False,
        "gap_seconds": 0.0,
        **LATER,
        "members": {},
    }


def usd_per_hour(
    prices: Prices, instances: Sequence[Instance], on_demand: int, spot: Spot
) -> Tuple[Decimal, List[str]]:
    """Return what an hour costs, the higher price where there is a range, and what has no price. Pure.

    Of the instances whose market EC2 has not told, the `on_demand` dearest are counted as on demand.
    """
    total, missing = base_per_hour(prices)
    total += len(instances) * _sum(prices.get("per_worker") or [], "what", missing)

    def listed(one: Instance) -> Decimal:
        return _listed(prices, one.type, "on-demand") or _listed(prices, one.type, "spot") or Decimal(0)

    untold = sorted((one for one in instances if not one.market), key=listed, reverse=True)
    guessed = ["on-demand"] * on_demand + ["spot"] * len(untold)
    told = [(one, one.market) for one in instances if one.market]
    for one, market in [*told, *zip(untold, guessed)]:
        price = spot.get((one.type, one.zone)) if market == "spot" else None
        price = _listed(prices, one.type, market) if price is None else price
        if price is None:
            missing.append("{} ({})".format(one.type, market))
        else:
            total += price
    return total, sorted(set(missing))


def base_per_hour(prices: Prices, head: bool = True) -> Tuple[Decimal, List[str]]:
    """Return what an hour costs without workers, and what has no price. Pure."""
    missing: List[str] = []
    total = _sum(prices.get("fixed") or [], "what", missing)
    if head:
        for node in prices["nodes"]:
            if node["role"] != "worker":
                total += int(node.get("count", 1)) * _sum([node], "type", missing)
    return total, missing


def _sum(parts: Sequence[Mapping[str, Any]], name: str, missing: List[str]) -> Decimal:
    missing += [str(part[name]) for part in parts if part["high"] is None]
    return sum((Decimal(part["high"]) for part in parts if part["high"] is not None), Decimal(0))


def _listed(prices: Prices, kind: str, market: str) -> Optional[Decimal]:
    for node in prices["nodes"]:
        if (node["role"], node["type"], node["market"]) == ("worker", kind, market):
            return None if node["high"] is None else Decimal(node["high"])
    return None


def on_demand_of(count: int, base: int, percentage: int) -> int:
    """Return how many of so many instances are on demand. Pure; see `infra.aws.cost.hourly.split`."""
    first = min(base, count)
    return first + math.ceil((count - first) * percentage / 100)


def add(account: Dict[str, Any], now: float, hourly: Decimal, missing: Sequence[str]) -> None:
    """Charge the time since the last look at the price of that look, then remember this one's.

    An account that was not kept for a while (the head was down) is continued as if nothing had changed.
    """
    seconds = max(0.0, now - account["at"])
    spent = Decimal(account["usd"]) + Decimal(account["hourly"]) * Decimal(repr(seconds)) / 3600
    account["usd"] = str(spent.quantize(Decimal("0.000000000001")))
    account["worker_seconds"] = round(account["worker_seconds"] + account["workers"] * seconds, 3)
    if seconds > GAP:
        account["gap_seconds"] = round(account["gap_seconds"] + seconds, 3)
    account["missing"] = sorted({*account["missing"], *missing})
    account["at"], account["hourly"] = now, str(hourly)


def reached(account: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> Tuple[str, str]:
    """Return the limit that is reached, BUDGET, JOINING or IDLE, and words for people; empty if none is.
    Pure."""
    total, idle, most = limits.get("total"), limits.get("idle_seconds"), limits.get("max_join_failures")
    if total is not None and Decimal(account["usd"]) >= Decimal(total):
        return BUDGET, "the budget of {} USD is spent".format(total)
    if most and account["failures"] >= most:
        words = "{} workers in a row could not join; the last one, {}: {}"
        return JOINING, words.format(account["failures"], account["failed_instance"], account["failed"])
    if idle and now - account["idle_since"] >= idle:
        return IDLE, "nothing has run for {} min".format(int(idle) // 60)
    return "", ""


def checked(found: Dict[str, Any]) -> Dict[str, Any]:
    """Return an account that was read, if it has all that this version needs.

    Raises:
        KeyError, ValueError, TypeError, ArithmeticError: it is another version's, or not whole.
    """
    fresh = new(0.0)
    members = {
        str(name): {"since": float(one["since"]), "joined": bool(one["joined"]), "said": str(one["said"])}
        for name, one in dict(found.get("members", {})).items()
    }
    found = {**LATER, **found, "members": members}
    figures = Decimal(found["usd"]), Decimal(found["hourly"])
    if found["version"] != fresh["version"] or not all(figure.is_finite() for figure in figures):
        raise ValueError("not an account")
    return {key: type(value)(found[key]) for key, value in fresh.items()}
