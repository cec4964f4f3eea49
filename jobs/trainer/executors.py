"""Executors of this application, as Spark's driver knows them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Collection, Dict, FrozenSet, Iterator, List, Optional

from jobs.trainer import contract
from jobs.trainer.beside import beside
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.blame import LostExecutor

WAIT_CONF = "spark.scheduler.maxRegisteredResourcesWaitingTime"
MOST_LOST = 10
"""Executors lost before a stage's first task, after which the stage is given up.

The number of spark.deploy.maxExecutorRetries, which Spark's master does not apply while another executor of
the application lives: it then starts new ones for ever, on a node whose disk is full for example.
"""
LEAST_S = 60.0
"""Seconds for a task to be launched, at least: Spark's list of tasks may lag by two heartbeats."""
ASIDE = "caffe-spark-aside"
"""Group of the Spark jobs beside the one that a `launching` block watches."""
_TICK = 0.1
SELDOM = 1.0
"""Seconds between two looks once something has run."""


class Executors:
    """Executors of a Spark context; `earlier`: those that it has lost up to now concern earlier jobs."""

    def __init__(self, spark_context: Any, *, earlier: bool = False) -> None:  # noqa: ANN401 - pyspark has no types
        self._context = spark_context
        self._earlier: FrozenSet[str] = frozenset()
        if earlier:
            self._earlier = frozenset(executor.number for executor in self._removed())
        self._conf = dict(self._context.getConf().getAll())
        limit = self._conf.get(WAIT_CONF, "30s")
        self._seconds = float(
            self._context._jvm.org.apache.spark.network.util.JavaUtils.timeStringAsSec(limit)
        )
        self._seen: Optional[List[Any]] = None
        """Registered executors, as they were listed in a `looking` block."""
        self.given_up = False
        """True after `launching` has cancelled a stage."""
        self._before: FrozenSet[str] = frozenset()
        """Executors lost before the last stage."""

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
        last = removed[-1]
        return TrainerError(
            "executors-failing", requested=size, lost=len(removed), host=last.host, reason=last.reason
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

    @contextmanager
    def looking(self) -> Iterator[None]:
        """List the registered executors once for all questions about them in this block."""
        self._seen = list(_listed(self._context, True))
        try:
            yield
        finally:
            self._seen = None

    def _active(self) -> List[Any]:
        if self._seen is not None:
            return self._seen
        return list(_listed(self._context, True))

    def ready(self, without: Collection[str] = ()) -> List[str]:
        """Return the ids of registered executors that run no task, but for those in `without`."""
        return [
            str(executor.id())
            for executor in self._active()
            if str(executor.id()) not in {"driver", *without}
            # It has a port when its block manager has registered, a moment after itself.
            and ":" in str(executor.hostPort())
            and not executor.activeTasks()
        ]

    def busy(self) -> List[str]:
        """Return the ids of registered executors that run a task."""
        return [
            str(executor.id())
            for executor in self._active()
            if str(executor.id()) != "driver" and executor.activeTasks()
        ]

    def proven(self) -> List[str]:
        """Return the ids of registered executors that have completed a task."""
        return [str(executor.id()) for executor in self._active() if executor.completedTasks()]

    def active(self) -> Dict[str, str]:
        """Return the host of each registered executor, by id."""
        return {
            str(executor.id()): _host(executor)
            for executor in self._active()
            if str(executor.id()) != "driver"
        }

    def replace(self, number: str) -> bool:
        """Kill an executor and have Spark start another one; return whether Spark takes the request.

        Spark's own name for this is private to it, and takes it from its own monitors alone.
        """
        return bool(self._context._jsc.sc().killAndReplaceExecutor(number))

    def described(self) -> contract.Executors:
        """Return the application's id with the host and container of each executor, which locate its log."""
        found: Dict[str, Dict[str, str]] = {}
        for executor in self._active():
            container = executor.attributes().get("CONTAINER_ID")
            if str(executor.id()) == "driver":
                continue
            found[str(executor.id())] = {
                "host": _host(executor),
                "container": str(container.get()) if container.isDefined() else "",
            }
        return contract.Executors(str(self._context.applicationId), found)

    def slots(self) -> int:
        """Return how many tasks an executor runs at a time, at most."""
        return max((int(executor.maxTasks()) for executor in self._active()), default=1)

    def removed(self) -> List[LostExecutor]:
        """Return the executors that Spark has lost since the last stage in `launching` began.

        One that was lost earlier, and replaced, is not the cause of what fails now.
        """
        return [executor for executor in self._removed() if executor.number not in self._before]

    def _removed(self) -> List[LostExecutor]:
        """Return all executors that Spark has lost, in the order of their ids."""
        found = []
        for executor in _listed(self._context, False):
            reason = executor.removeReason()
            if not executor.isActive() and str(executor.id()) not in {"driver", *self._earlier}:
                words = " ".join(str(reason.get()).split()) if reason.isDefined() else ""
                found.append(LostExecutor(str(executor.id()), _host(executor), words))
        return sorted(found, key=lambda lost: int(lost.number))

    @contextmanager
    def launching(self, heard: Callable[[], bool] = bool) -> Iterator[None]:
        """Cancel a stage that runs in this block if no task of it runs for the time of Spark's setting.

        Spark launches all tasks of a barrier stage or none, and waits for executors without a limit, also for
        those that it has lost. `heard` returns whether a task has reported, which Spark's own list shows only
        with the next heartbeats.
        """
        self.given_up = False
        self._before = frozenset(executor.number for executor in self._removed())
        with beside(partial(self._watch, heard), "launching"):
            yield

    def cancel(self) -> None:
        """End what runs on the executors."""
        self._context.cancelAllJobs()

    def _watch(self, heard: Callable[[], bool], over: threading.Event) -> None:
        limit, tick = max(self._seconds, LEAST_S), _TICK
        deadline, before = time.monotonic() + limit, len(self._removed())
        while not over.wait(tick):
            if heard() or not self._waiting():
                # Nothing has been waited for up to now: the driver plans, or tasks run.
                deadline, before, tick = time.monotonic() + limit, len(self._removed()), SELDOM
            elif time.monotonic() > deadline or len(self._removed()) - before >= MOST_LOST:
                self.given_up = True
                self.cancel()
                return

    def _waiting(self) -> bool:
        """Return True while stages are active, and no task of them runs."""
        tracker = self._context.statusTracker()
        # Spark drops the descriptions of old ones.
        jobs = [tracker.getJobInfo(number) for number in tracker.getJobIdsForGroup(ASIDE)]
        aside = {stage for job in jobs if job is not None for stage in job.stageIds}
        stages = [tracker.getStageInfo(one) for one in tracker.getActiveStageIds() if one not in aside]
        return bool(stages) and not any(stage.numActiveTasks for stage in stages if stage is not None)


def _host(executor: Any) -> str:  # noqa: ANN401
    """Return an executor's host, which is Spark's `hostPort` until there is a port."""
    host, _, port = str(executor.hostPort()).rpartition(":")
    return host or port


def _listed(spark_context: Any, active: bool) -> Iterator[Any]:  # noqa: ANN401
    """Return Spark's executors, the driver among them: those that are `active`, or all."""
    listed = spark_context._jsc.sc().statusStore().executorList(active)
    return (listed.apply(index) for index in range(listed.size()))
