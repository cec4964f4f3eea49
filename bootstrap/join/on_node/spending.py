"""Account of a stack's spending, and the end of its workers at its limits. Runs as root on the head; standard
library only.

Once a minute: the group's instances, their prices, and whether anything runs. What the stack has cost since
the account began is kept here and in the bucket, where `fab workers` reads it. When the budget is spent,
running jobs are asked to take a snapshot and to end, and the group goes to zero; likewise when nothing has
run for the time of `idleStop`, and when `maxJoinFailures` workers in a row could not join. With
`fallbackAfter`, workers that the spot market does not have come on demand. The limits are a file that
`pulumi up` writes: another budget needs no other role. Settings of the machine are in the file that
CAFFE_SPARK_SETTINGS names.
"""

import json
import math
import os
import subprocess
import sys
import time
from contextlib import suppress
from decimal import Decimal
from typing import Any, Dict, Optional, Sequence, Tuple
from xml.etree import ElementTree

from bootstrap.join.on_node import aws, fallback, joining, markets, reports
from bootstrap.join.on_node.account import (
    BUDGET,
    IDLE,
    JOINING,
    RUNNING,
    STOPPED,
    STOPPING,
    Instance,
    Prices,
    add,
    base_per_hour,
    checked,
    new,
    reached,
    usd_per_hour,
)
from bootstrap.join.on_node.group import Group, abandon, describe, spot_prices, stop_workers
from bootstrap.join.on_node.use import attended, busy, running_jobs

POLL = 60
UPLOAD = 300
"""Seconds between two uploads of an account in which only figures have changed, and between two looks at
prices that AWS has not told."""
ENDING = 900
"""Seconds for jobs to take their snapshots and to end, after which workers stop anyway."""
SPOT = 3600
"""Seconds between two looks at spot prices."""
BOOT = 3600
"""Seconds after the last use for which booting workers count: the group replaces for ever those that fail."""
STEP = 30
"""Seconds by which a clock that was set differs from one that runs on, at least."""


class Keeper:
    """The account, and what follows from it."""

    def __init__(self, now: float) -> None:
        self.limits: Dict[str, Any] = {}
        self.account = self._read() or new(now)
        # Whoever has started this machine, or provisioned it, wants to use it.
        self.account["idle_since"] = self._wanted = now
        self._uploaded = self._asked = float("-inf")
        self._spot: Dict[Tuple[str, str], Decimal] = {}

    def tick(self, now: float) -> None:
        """Look once; act if a limit is reached."""
        self._load_limits()
        prices = self.limits.get("prices")
        if not prices:
            return
        group = markets.told(describe())
        instances = [one for one in group.instances if one.state != "Terminated"]
        self._look_at_spot(instances, now)
        on_demand = markets.on_demand(group, instances, self.limits)
        hourly, missing = usd_per_hour(prices, instances, on_demand, self._spot)
        account = self.account
        self._charge(prices, now, hourly, missing)
        self._follow(group, now)
        if markets.fall_back(account, group, self.limits, now, self._load_limits):
            self._uploaded = float("-inf")
        jobs = running_jobs()
        # Whoever has brought workers back wants to use them, once they are up.
        if jobs or group.desired > account["desired"] or busy():
            account["idle_since"] = self._wanted = now
        elif now - self._wanted < BOOT and joining.coming(group):
            account["idle_since"] = now
        account["workers"], account["desired"] = len(instances), group.desired
        self._act(group, jobs, now)
        self._write(now)
        if self._head_is_idle(group, now):
            self._power_off(now)

    def shift(self, seconds: float) -> None:
        """Follow a clock that was set: by so much, none of which has passed."""
        for name in ("at", "changed", "idle_since"):
            self.account[name] += seconds
        for member in self.account["members"].values():
            member["since"] += seconds
        fallback.shift(self.account, seconds)
        self._wanted += seconds
        self._uploaded += seconds
        self._asked += seconds
        print("the clock was set by {:.0f} s, which are not charged".format(seconds), file=sys.stderr)

    def _charge(self, prices: Prices, now: float, hourly: Decimal, missing: Sequence[str]) -> None:
        account = self.account
        if account["head_stopped"]:
            # Its disk and the network were billed meanwhile, and no more.
            account["hourly"], account["workers"] = str(base_per_hour(prices, head=False)[0]), 0
        gap = account["gap_seconds"]
        add(account, now, hourly, missing)
        if account["head_stopped"]:
            account["gap_seconds"], account["head_stopped"] = gap, False

    def _follow(self, group: Group, now: float) -> None:
        """Count the members that fail to join, and remember the last one's reason and log."""
        account, role = self.account, str(self.limits.get("worker_role", ""))
        before = account["failures"]
        failure = joining.follow(account, group, now, lambda instance: reports.reason(role, instance))
        if account["failures"] != before:
            self._uploaded = float("-inf")
        if failure is not None and account["failures"]:
            said = failure.said or "it has not said why in {} min".format(joining.PATIENCE // 60)
            log = reports.log(role, failure.instance)
            account.update(failed=said, failed_instance=failure.instance, log=log)
            print("{} could not join: {}".format(failure.instance, said), file=sys.stderr)

    def _act(self, group: Group, jobs: Sequence[str], now: float) -> None:
        """Stop workers if a limit is reached; jobs first, which end with a snapshot."""
        account = self.account
        most = self.limits.get("max_join_failures", 0)
        limits = dict(self.limits.get("limits") or {}, max_join_failures=most)
        why, said = reached(account, limits, now)
        if why == JOINING and jobs and any(one.state == "InService" for one in group.instances):
            # They go on with the workers that they have.
            return
        left = self.limits.get("idle_workers", 0)
        if why == IDLE and left:
            self._shrink(group, left)
            return
        brought_back = account["state"] == STOPPED and group.desired > 0
        if account["state"] != RUNNING and not why and (brought_back or account["state"] == STOPPING):
            self._become(RUNNING, "", "", now)
        if not why or (group.desired == 0 and not jobs and account["state"] != STOPPING):
            return
        if account["state"] != STOPPING:
            self._become(STOPPING, why, said, now)
        for job in jobs:
            with suppress(RuntimeError, OSError):
                key = "jobs/{}/{}".format(job, aws.setting("stop_file"))
                aws.call("s3", aws.stored(key), "PUT", self._reason(why, said).encode())
        if jobs and now - account["changed"] < ENDING:
            return
        stop_workers()
        for one in group.instances:
            if one.state == "Pending:Wait":
                # It would be billed until the hook's time is over.
                with suppress(RuntimeError, OSError):
                    abandon(one.id)
        account["desired"] = 0
        self._become(STOPPED, why, said, now)

    def _shrink(self, group: Group, left: int) -> None:
        """Make a group that has grown for a job as small as it may be."""
        if group.desired > left:
            stop_workers(left)
            self.account["desired"] = left
            self._uploaded = float("-inf")
            print("nothing runs: {} workers are left of {}".format(left, group.desired), file=sys.stderr)

    def _reason(self, why: str, said: str) -> str:
        """Return the reason for jobs, with how to go on."""
        if why != BUDGET:
            return said
        more, stack = math.ceil(2 * Decimal(self.limits["limits"]["total"])), self.limits.get("stack", "")
        raises = "`pulumi config set --path budget.total {} --stack {}`".format(more, stack)
        return "{}; to raise it: {}, then `pulumi up --stack {}`".format(said, raises, stack)

    def _become(self, state: str, why: str, said: str, now: float) -> None:
        self.account.update(state=state, why=why, said=said, changed=now)
        self._uploaded = float("-inf")
        print("{}{}".format(state, ": " + said if said else ""), file=sys.stderr)

    def _head_is_idle(self, group: Group, now: float) -> bool:
        """Return whether the head has to stop: after its last worker, and not while anything runs on it."""
        limits = self.limits.get("limits") or {}
        gone = self.account["state"] == STOPPED and not group.instances and group.desired == 0
        idle = gone and reached(self.account, limits, now)[0] == IDLE
        return bool(limits.get("idle_head")) and idle and not attended()

    def _power_off(self, now: float) -> None:
        self.account["head_stopped"] = True
        self._uploaded = float("-inf")
        self._write(now)
        subprocess.check_call(["systemctl", "poweroff"])

    def _load_limits(self) -> Dict[str, Any]:
        """Read the limits; those of before serve where they cannot be read."""
        try:
            found = aws.call("s3", aws.stored(aws.setting("limits")))
            if found is not None:
                self.limits = dict(json.loads(found.decode()))
        except (RuntimeError, OSError, ValueError) as error:
            print("limits: {}".format(error), file=sys.stderr)
        return self.limits

    def _look_at_spot(self, instances: Sequence[Instance], now: float) -> None:
        pools = {(one.type, one.zone) for one in instances}
        if not pools or now - self._asked < (SPOT if pools <= set(self._spot) else UPLOAD):
            return
        self._asked = now
        try:
            self._spot = spot_prices(sorted({kind for kind, _ in pools}), now)
        except (RuntimeError, OSError, ValueError, ArithmeticError, ElementTree.ParseError) as error:
            # The prices of `pulumi up` serve.
            print("spot prices: {}".format(error), file=sys.stderr)

    def _read(self) -> Optional[Dict[str, Any]]:
        """Return the newer account: this machine's, or the bucket's, which an earlier head has left."""
        broken = ValueError, TypeError, KeyError, ArithmeticError
        mine: Optional[Dict[str, Any]] = None
        with suppress(OSError, *broken), open(aws.setting("account")) as file:
            mine = checked(json.load(file))
        try:
            found = aws.call("s3", aws.stored(aws.setting("spending")))
            stored = checked(json.loads(found.decode())) if found is not None else None
        except broken:
            return mine
        except (RuntimeError, OSError):
            if mine is None:
                raise
            return mine
        both = [account for account in (stored, mine) if account is not None]
        return max(both, key=lambda account: float(account["at"]), default=None)

    def _write(self, now: float) -> None:
        text = json.dumps(self.account)
        path = aws.setting("account")
        try:
            with open(path + ".new", "w") as file:
                file.write(text)
            os.replace(path + ".new", path)
        finally:
            # Also where the disk is full.
            if now - self._uploaded >= UPLOAD:
                aws.call("s3", aws.stored(aws.setting("spending")), "PUT", text.encode())
                self._uploaded = now


def clock_offset() -> float:
    """Return the clock's time of the machine's start, which changes only if the clock is set."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def main() -> int:
    keeper: Optional[Keeper] = None
    offset = clock_offset()
    while True:
        try:
            # An account that cannot be read is not one to begin anew.
            keeper = keeper or Keeper(time.time())
            before, offset = offset, clock_offset()
            if abs(offset - before) >= STEP:
                keeper.shift(offset - before)
            keeper.tick(time.time())
        except Exception as error:  # whatever it is: the next look may succeed
            print("not counted: {}".format(error or type(error).__name__), file=sys.stderr)
        time.sleep(POLL)


if __name__ == "__main__":
    sys.exit(main())
