"""Policy of training that loses executors, from Spark's settings. Pure."""

from __future__ import annotations

import math
from typing import Mapping, NamedTuple

from jobs.trainer.contract import (
    CONTROL_CONF,
    FAIL,
    MIN_EXECUTORS_CONF,
    ON_DRIVER_LOST,
    ON_DRIVER_LOST_CONF,
    ON_WORKER_LOST,
    ON_WORKER_LOST_CONF,
    REPLACEMENT_LIMIT_CONF,
    RESTART,
    SHRINK,
    SNAPSHOT_EVERY_CONF,
    TIMEOUT_CONF,
    TRANSPORT_CONF,
)
from jobs.trainer.errors import Refused

TIMEOUT_S = 120.0
LIMIT_S = 1200.0
"""Seconds to wait for executors by default: longer than a machine takes to boot and to provision itself."""


class Policy(NamedTuple):
    """Action on a lost executor, one of `ON_WORKER_LOST`, with its bounds."""

    action: str = FAIL
    limit_s: float = LIMIT_S
    """Seconds to wait for executors."""
    least: int = 1
    """Executors to go on with, at least."""
    snapshot_every: float = 0.0
    """Seconds between snapshots beside the solver's; 0 for none."""
    restarts: bool = False
    """A driver that was lost is started again, and goes on."""
    timeout_s: float = TIMEOUT_S
    """Seconds after which a silent rank counts as hung."""


def policy(conf: Mapping[str, str], size: int) -> Policy:
    """Return the policy of a job of `size` executors.

    Where Spark's settings name none, a lost executor ends the job, as in CaffeOnSpark. So it does where ranks
    train alone, and on a master that runs the executor in the driver.

    Raises:
        Refused: a setting is not valid.
    """
    action = conf.get(ON_WORKER_LOST_CONF, FAIL)
    if action not in ON_WORKER_LOST:
        why = "it is not one of {}".format(", ".join(ON_WORKER_LOST))
        raise Refused("setting-invalid", name=ON_WORKER_LOST_CONF, given=action, reason=why)
    least = _number(conf, MIN_EXECUTORS_CONF, 1)
    if least != int(least) or not 1 <= least <= size:
        why = "it is not a whole number from 1 to {}, the executors of the job".format(size)
        raise Refused("setting-invalid", name=MIN_EXECUTORS_CONF, given=conf[MIN_EXECUTORS_CONF], reason=why)
    driver = conf.get(ON_DRIVER_LOST_CONF, FAIL)
    if driver not in ON_DRIVER_LOST:
        why = "it is not one of {}".format(", ".join(ON_DRIVER_LOST))
        raise Refused("setting-invalid", name=ON_DRIVER_LOST_CONF, given=driver, reason=why)
    if driver == RESTART and not conf.get(CONTROL_CONF):
        why = "it needs {}, a folder for what a driver leaves to the next one".format(CONTROL_CONF)
        raise Refused("setting-invalid", name=ON_DRIVER_LOST_CONF, given=driver, reason=why)
    limit, every = _number(conf, REPLACEMENT_LIMIT_CONF, LIMIT_S), _number(conf, SNAPSHOT_EVERY_CONF, 0)
    if conf.get(TRANSPORT_CONF) == "none" or conf.get("spark.master", "").startswith("local"):
        action = FAIL
    timeout = _number(conf, TIMEOUT_CONF, TIMEOUT_S)
    return Policy(action, limit, int(least), every, driver == RESTART, timeout)


def grows(rules: Policy) -> bool:
    """Return whether training takes executors that register while it runs."""
    return rules.action == SHRINK


def _number(conf: Mapping[str, str], name: str, default: float) -> float:
    given = conf.get(name, "")
    try:
        found = float(given) if given else default
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        why = "it is not a number of 0 or more"
        raise Refused("setting-invalid", name=name, given=given, reason=why)
    return found
