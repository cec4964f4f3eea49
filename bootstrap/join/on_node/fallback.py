"""On-demand workers in place of spot workers that AWS does not have. Pure; standard library only.

When the group has been short of workers for the time of `fallbackAfter` because AWS refuses spot launches,
its on-demand base capacity is raised by those that are missing. After a pause it is lowered one by one: by
AWS's documents a group that has too many on-demand instances launches spot instances first and terminates
the others when these are up, so that an attempt that AWS refuses ends nothing, and is taken back. Read on
2026-11-30: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html. Whether
it does so with the process AZRebalance suspended, as in our group, is not settled: if not, on-demand workers
stay until they end, and are told (`surplus`).

AWS's own fallback (distribution segments) is between kinds of reservations and on-demand capacity, not spot:
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DistributionSegment.html
"""

import re
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

from bootstrap.join.on_node.account import LATER, RUNNING, on_demand_of
from bootstrap.join.on_node.group import Group, Launch

PAUSE = 1800
"""Seconds from a change of the base to an attempt with spot instances again."""
RECENT = 900
"""Seconds after which a refusal tells nothing of the workers that are missing now."""
DRY = re.compile(
    "no Spot capacity|UnfulfillableCapacity|InsufficientInstanceCapacity|MaxSpotInstanceCountExceeded"
    "|Max spot instance count exceeded"
)
"""Reasons of failed launches that are a want of spot capacity, or of the account's quota of it. Not among
them: a price above `maxPrice` (SpotMaxPriceTooLow), types that a zone lacks, machines that could not join.
Seen on 2026-11-30 in https://github.com/aws/aws-parallelcluster/issues/1944,
https://github.com/cortexlabs/cortex/issues/1258, https://github.com/mludvig/aws-ethereum-miner/issues/23 and
https://github.com/aws-deepracer-community/deepracer-on-the-spot/issues/55."""
FIELDS = ("dry_since", "dry", "fallback", "fallback_at", "trying", "surplus", "fallback_error")


class Rule(NamedTuple):
    """Settings `fallbackAfter`, in seconds, `onDemandBase` and `onDemandPercentage`."""

    after: int
    base: int
    percentage: int


def rule(limits: Mapping[str, Any]) -> Optional[Rule]:
    """Return the rule of the limits file; None without `fallbackAfter`."""
    after = limits.get("fallback_seconds")
    if not after:
        return None
    return Rule(int(after), int(limits.get("on_demand_base", 0)), int(limits.get("on_demand_percentage", 0)))


def reset(account: Dict[str, Any]) -> None:
    """Forget the fallback."""
    account.update({name: LATER[name] for name in FIELDS})


def shift(account: Dict[str, Any], seconds: float) -> None:
    """Follow a clock that was set."""
    for name in ("dry_since", "fallback_at", "trying", "fell_back", "returned"):
        account[name] += seconds if account[name] else 0.0


def dry(launches: Sequence[Launch]) -> Optional[Launch]:
    """Return the newest launch that failed for want of spot capacity."""
    found = [one for one in launches if DRY.search(one.said) and "spot" in one.said.lower()]
    return max(found, default=None)


def follow(account: Dict[str, Any], group: Group, launches: Sequence[Launch], given: Rule, now: float) -> int:
    """Keep the account's fallback; return the on-demand base that the group should have.

    That is also what takes back a change of `pulumi up`, which sends the stack's own base along with a new
    launch template.
    """
    desired = group.desired
    if desired == 0:
        # Workers that come back are tried on spot first.
        reset(account)
        return given.base
    account["fallback"] = max(0, min(account["fallback"], desired - given.base))
    base = given.base + int(account["fallback"])
    alive = [one for one in group.instances if not one.state.startswith("Terminat")]
    if account["state"] != RUNNING or not all(one.market for one in alive):
        return base
    missing, refused = desired - len(alive), dry(launches)
    _watch(account, missing, refused, now)
    spot = sum(1 for one in alive if one.market == "spot")
    surplus = len(alive) - spot - on_demand_of(desired, base, given.percentage)
    account["surplus"] = max(0, surplus)
    wanted = desired - on_demand_of(desired, base, given.percentage)
    if missing > 0 and account["dry_since"] and now - account["dry_since"] >= given.after and wanted > spot:
        return _change(account, given, _base_for(spot, base, desired, given), now)
    if account["fallback"] and missing >= 0 and spot > wanted:
        # They have come after all: the group would replace them by on-demand workers.
        return _change(account, given, max(given.base, _base_for(spot, given.base, desired, given)), now)
    settled = missing > 0 or all(one.state == "InService" for one in alive)
    if account["trying"]:
        return _attempt(account, base, refused, now, whole=settled and missing <= 0)
    if account["fallback"] and settled and now - account["fallback_at"] >= PAUSE:
        # A refusal from now on counts, and no earlier one.
        account.update(fallback=account["fallback"] - 1, fallback_at=now, trying=now, dry_since=0.0)
        base -= 1
    return base


def _watch(account: Dict[str, Any], missing: int, refused: Optional[Launch], now: float) -> None:
    """Keep the time since which spot workers are missing, and AWS's reason."""
    if missing <= 0:
        account["dry_since"] = 0.0
        if not account["fallback"]:
            account["dry"] = ""
    elif refused is not None and (account["dry_since"] or now - refused.start < RECENT):
        account.update(dry_since=account["dry_since"] or now, dry=refused.said)


def _base_for(spot: int, least: int, desired: int, given: Rule) -> int:
    """Return the least base, from `least` on, with which the group wants no more spot workers than `spot`."""
    base = least
    while base < desired and desired - on_demand_of(desired, base, given.percentage) > spot:
        base += 1
    return base


def _change(account: Dict[str, Any], given: Rule, base: int, now: float) -> int:
    account.update(fallback=base - given.base, fallback_at=now, trying=0.0)
    return base


def _attempt(
    account: Dict[str, Any], base: int, refused: Optional[Launch], now: float, *, whole: bool
) -> int:
    """Return the base after a look at an attempt with spot instances; `whole` if all workers are in service.

    If AWS refuses, it is taken back. Once it has succeeded, or after a pause in which nothing has happened,
    the next may follow.
    """
    if refused is not None and refused.start >= account["trying"]:
        account.update(fallback=account["fallback"] + 1, fallback_at=now, trying=0.0, dry=refused.said)
        return base + 1
    if (whole and not account["surplus"]) or now - account["trying"] >= PAUSE:
        account.update(trying=0.0, fallback_at=now - PAUSE)
        if not account["fallback"]:
            account["dry"] = ""
    return base
