"""Members of the workers' group that join it, and how many in a row have failed to. Pure; standard library
only."""

from typing import Any, Callable, Dict, NamedTuple, Optional

from bootstrap.join.on_node.group import Group

PATIENCE = 1500
"""Seconds after which a member that ends without a report has failed to join. The group replaces it after
1800 (`infra.aws.workers.JOINING_S`); one that ends earlier was taken by the spot market, or by hand."""


class Failure(NamedTuple):
    """A member that has failed to join, with its own reason; empty if it has given none."""

    instance: str
    said: str


def follow(
    account: Dict[str, Any], group: Group, now: float, reason: Callable[[str], str]
) -> Optional[Failure]:
    """Keep the account's members and `failures`; return the newest failure since the last look, if any.

    `reason` returns what a member has reported as the reason of its failure; empty if it has not failed. A
    member that fails tries again by itself, so that it has failed only when it ends. One that comes into
    service ends the row.
    """
    members, failure = account["members"], None
    if group.desired > account["desired"]:
        # Whoever wants more of them has fixed what was broken.
        account["failures"] = 0
    smaller = group.desired < account["desired"] or group.desired == 0
    present = {one.id: one for one in group.instances if not one.state.startswith("Terminat")}
    for name in sorted(set(members) - set(present)):
        ended = members.pop(name)
        # Of a group that is made smaller, some end in the middle of their start.
        if ended["joined"] or smaller:
            continue
        if ended["said"] or now - ended["since"] >= PATIENCE:
            account["failures"] += 1
            failure = Failure(name, ended["said"])
    for name, one in present.items():
        member = members.setdefault(name, {"since": now, "joined": False, "said": ""})
        if member["joined"]:
            continue
        if smaller:
            member["since"] = now
        if not one.state.startswith("Pending"):
            member["joined"], account["failures"] = True, 0
        else:
            # Its next attempt reports `booting` over it.
            member["said"] = reason(name) or member["said"]
    if account["failures"] == 0:
        account.update(failed="", failed_instance="", log="")
    return failure


def coming(group: Group) -> bool:
    """Return whether members boot, or AWS has none yet; a group without any bills nothing."""
    present = [one for one in group.instances if one.state != "Terminated"]
    return any(one.state.startswith("Pending") for one in present) or (group.desired > 0 and not present)
