"""Executors of this application, as Spark's driver knows them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

from jobs.trainer import contract
from jobs.trainer.errors import TrainerError

WAIT_CONF = "spark.scheduler.maxRegisteredResourcesWaitingTime"
MOST_LOST = 10
"""Executors lost before a stage's first task, after which the stage is given up.

The number of spark.deploy.maxExecutorRetries, which Spark's master does not apply while another executor of
the application lives: it then starts new ones for ever, on a node whose disk is full for example.
"""
LEAST_S = 60.0
"""Seconds for a task to be launched, at least: Spark's list of tasks may lag by two heartbeats."""
_TICK = 0.1
SELDOM = 1.0
"""Seconds between two looks once something has run."""


class Executors:
    """Executors of a Spark context."""

    def __init__(self, spark_context: Any) -> None:  # noqa: ANN401 - pyspark has no types here
        self._context = spark_context
        self._conf = dict(self._context.getConf().getAll())
        limit = self._conf.get(WAIT_CONF, "30s")
        self._seconds = float(
            self._context._jvm.org.apache.spark.network.util.JavaUtils.timeStringAsSec(limit)
        )
        self.given_up = False
        """True after `launching` has cancelled a stage."""

    def require(self, size: int) -> None:
        """Require `size` registered executors; wait for missing ones as Spark's setting allows.

        Raises:
            TrainerError: there are more or fewer; with the last reason if Spark has lost some.
        """
        registered = self._registered(size)
        if registered != size:
            raise self.missing(size, registered)

    def missing(self, size: int, registered: Optional[int] = None) -> TrainerError:
        """Return the failure of a job of `size` ranks whose executors are not there."""
        registered = self._registered(0) if registered is None else registered
        removed = self._removed()
        if not removed:
            return TrainerError("executors-missing", requested=size, registered=registered)
        host, reason = list(removed.values())[-1]
        return TrainerError(
            "executors-failing", requested=size, lost=len(removed), host=host, reason=" ".join(reason.split())
        )

    def _registered(self, wanted: int) -> int:
        deadline = time.monotonic() + self._seconds
        while True:
            # The driver is in this table too, unless it is the only executor (master local).
            master = self._conf.get("spark.master", "")
            here = 0 if master == "local" or master.startswith("local[") else 1
            count = int(self._context._jsc.sc().getExecutorMemoryStatus().size()) - here
            if count >= wanted or time.monotonic() > deadline:
                return count
            time.sleep(_TICK)

    def described(self) -> contract.Executors:
        """Return the application's id with the host and container of each executor, which locate its log."""
        found: Dict[str, Dict[str, str]] = {}
        for executor in _listed(self._context, True):
            container = executor.attributes().get("CONTAINER_ID")
            if str(executor.id()) == "driver":
                continue
            found[str(executor.id())] = {
                "host": str(executor.hostPort()).rpartition(":")[0],
                "container": str(container.get()) if container.isDefined() else "",
            }
        return contract.Executors(str(self._context.applicationId), found)

    def removed(self) -> Dict[str, str]:
        """Return Spark's reasons by id of the executors that it has lost."""
        return {number: reason for number, (_, reason) in self._removed().items()}

    def _removed(self) -> Dict[str, Tuple[str, str]]:
        """Return hosts and reasons by id, in the order of the ids."""
        found: Dict[str, Tuple[str, str]] = {}
        for executor in _listed(self._context, False):
            reason = executor.removeReason()
            if not executor.isActive() and str(executor.id()) != "driver":
                host = str(executor.hostPort()).rpartition(":")[0]
                found[str(executor.id())] = (host, str(reason.get()) if reason.isDefined() else "")
        return dict(sorted(found.items(), key=lambda item: int(item[0])))

    @contextmanager
    def launching(self, heard: Callable[[], bool] = bool) -> Iterator[None]:
        """Cancel a stage that runs in this block if no task of it runs for the time of Spark's setting.

        Spark launches all tasks of a barrier stage or none, and waits for executors without a limit, also for
        those that it has lost. `heard` returns whether a task has reported, which Spark's own list shows only
        with the next heartbeats.
        """
        self.given_up = False
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over, heard), name="launching", daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()

    def _watch(self, over: threading.Event, heard: Callable[[], bool]) -> None:
        limit, tick = max(self._seconds, LEAST_S), _TICK
        deadline, before = time.monotonic() + limit, len(self._removed())
        while not over.wait(tick):
            if heard() or not self._waiting():
                # Nothing has been waited for up to now: the driver plans, or tasks run.
                deadline, before, tick = time.monotonic() + limit, len(self._removed()), SELDOM
            elif time.monotonic() > deadline or len(self._removed()) - before >= MOST_LOST:
                self.given_up = True
                self._context.cancelAllJobs()
                return

    def _waiting(self) -> bool:
        """Return True while stages are active, and no task of them runs."""
        tracker = self._context.statusTracker()
        stages = [tracker.getStageInfo(number) for number in tracker.getActiveStageIds()]
        return bool(stages) and not any(stage.numActiveTasks for stage in stages if stage is not None)


def _listed(spark_context: Any, active: bool) -> Iterator[Any]:  # noqa: ANN401
    """Return Spark's executors, the driver among them: those that are `active`, or all."""
    listed = spark_context._jsc.sc().statusStore().executorList(active)
    return (listed.apply(index) for index in range(listed.size()))
