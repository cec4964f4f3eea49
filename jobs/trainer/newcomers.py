"""Executors that register while a job runs: each is kept from ranks until its node is ready for one.

Spark cannot be told to keep a stage off an executor. So a task that waits for the node (`ranks.ready`) takes
all slots of a new executor, and leaves them when the node is ready.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any, Collection, Dict, List, Set

from jobs.trainer.executors import ASIDE, Executors
from jobs.trainer.ranks import ready

LAUNCHING_S = 3.0
"""Seconds for Spark to launch the tasks that wait, before others are submitted."""
TOLD_S = 20.0
"""Seconds after which a node that is not ready is told of."""


class Newcomers:
    """Executors of a job beside those it has begun with; `known` are the ids of these."""

    def __init__(self, spark_context: Any, executors: Executors) -> None:  # noqa: ANN401 - pyspark has no types
        self._context, self._executors = spark_context, executors
        self.known: Set[str] = set()
        self._submitted = 0.0
        self._since: Dict[str, float] = {}
        """Time at which a new executor was first seen, by its id."""
        self._asked: Dict[str, float] = {}
        """Time at which an executor was last given a task that waits, by its id."""
        self._told: Set[str] = set()

    @property
    def proven(self) -> Set[str]:
        """Ids of executors whose nodes have been ready for a rank."""
        return {*self.known, *self._executors.proven()}

    def ready(self, idle: Collection[str]) -> List[str]:
        """Return those of idle executors whose nodes are ready for a rank; have the others wait for it."""
        proven = self.proven
        found = [one for one in idle if one in proven]
        now = time.monotonic()
        for one in set(idle) - proven:
            self._since.setdefault(one, now)
        if len(found) < len(idle) and now - self._submitted >= LAUNCHING_S:
            self._submitted = now
            self._asked.update(dict.fromkeys(idle, now))
            # As many as there are slots, of a barrier stage: Spark launches all at once, one into each.
            tasks = len(idle) * self._executors.slots()
            threading.Thread(target=self._wait, args=(tasks,), name="newcomers", daemon=True).start()
        return found

    def late(self, number: str, seconds: float) -> bool:
        """Return whether a new executor was first seen that long ago, or longer.

        It may never be idle: Spark may give it a task that was meant for another one.
        """
        now = time.monotonic()
        return now - self._since.setdefault(number, now) >= seconds

    def hangs(self, number: str, seconds: float) -> bool:
        """Return whether an executor that is busy after that time runs a rank, and no task that waits."""
        if number in self._asked and number not in self.proven:
            return False
        return time.monotonic() - self._asked.get(number, -math.inf) > seconds

    def unready(self) -> List[str]:
        """Return hosts of executors that have waited for TOLD_S seconds, each once."""
        proven, active = self.proven, self._executors.active()
        late = [one for one in active if one not in proven and self.late(one, TOLD_S)]
        found = sorted({active[one] for one in late} - self._told)
        self._told.update(found)
        return found

    def _wait(self, tasks: int) -> None:
        context = self._context
        try:
            context.setJobGroup(ASIDE, "executors that wait for their nodes")
            context.parallelize(range(tasks), tasks).barrier().mapPartitions(ready.wait).collect()
        except Exception as error:
            # One of the executors was lost, or the job is over: those that are idle are asked again.
            print("new executors: {}".format(str(error).strip().partition("\n")[0]), flush=True)
