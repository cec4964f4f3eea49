"""Executors to go on with after a loss: those that are left, and those that Spark starts in their places."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple

from jobs.trainer.contract import SHRINK, Note
from jobs.trainer.errors import TrainerError
from jobs.trainer.newcomers import Newcomers
from jobs.trainer.policy import Policy
from jobs.trainer.running import RunningJob

GRACE_S = 5.0
"""Seconds for an executor to register where a process alone has died: Spark starts another at once."""
READY_S = 8.0
"""Seconds for the node of a new executor to be ready for a rank, before training goes on without it."""
BUSY_S = 8.0
"""Seconds for the tasks of a stage that is over: a killed Python worker takes two, a hung one for ever."""
NOTICE_S = 150.0
"""Seconds for a node to go whose cloud has not said when: AWS gives two minutes."""
CHECK_S = 3.0
"""Seconds between two looks for what ends the wait."""
_TICK = 0.1
UNREADY = "executors on {} take no part yet: Caffe does not start there, or the node is about to go"


class Survivors:
    """Executors of a job, by its policy, without those that hang and those on nodes about to be taken."""

    def __init__(self, running: RunningJob, rules: Policy) -> None:
        self._running, self._rules = running, rules
        self.newcomers = Newcomers(running.context, running.executors)
        self._dropped: Set[str] = set()
        self._leaving: Dict[str, float] = {}
        """Time at which a node ends, in seconds since the epoch, by each of its names and addresses."""

    def ready(self) -> List[str]:
        """Return the ids of executors for ranks: they run no task, and their nodes are ready.

        Others that are idle are asked whether they are, also on a node about to be taken: until it goes, no
        rank is to come there.
        """
        running = self._running
        found = self.newcomers.ready(running.executors.ready(self._dropped))
        for host in self.newcomers.unready():
            running.journal.add(Note(UNREADY.format(host)))
        unusable = self._unusable
        return [one for one in found if one not in unusable]

    @property
    def _unusable(self) -> Set[str]:
        """Ids of executors that training does not take.

        Spark may start new ones on a node until it goes. One that registers later, by the same name, is a
        new node's.
        """
        now = time.time()
        going = {name for name, at in self._leaving.items() if at > now}
        return self._dropped | set(self._on(going))

    def leave(self, names: Iterable[str], at: float) -> None:
        """Take no executors on a node of these names and addresses any more, until it has gone."""
        self._leaving.update(dict.fromkeys(names, at or time.time() + NOTICE_S))
        for number in self._on(set(names)):
            self.drop(number)

    def _on(self, names: Set[str]) -> List[str]:
        """Return the ids of executors on nodes of these names and addresses."""
        active = self._running.executors.active() if names else {}
        return [one for one, host in active.items() if host in names or host.partition(".")[0] in names]

    def wait(self, failure: Optional[TrainerError], check: Callable[[], object] = bool) -> List[str]:
        """Return the ids of executors to go on with, which run no task; replace those that hang.

        `failure` is the loss, if there was one; `check` raises what ends the wait.

        Raises:
            TrainerError: there are not enough in time.
        """
        rules, executors, size = self._rules, self._running.executors, self._running.size
        began, checked = time.monotonic(), -math.inf
        while True:
            if time.monotonic() - checked >= CHECK_S:
                checked = time.monotonic()
                check()
            with executors.looking():
                ready, settled = self._look(time.monotonic() - began)
            waited = time.monotonic() - began
            if len(ready) >= size or (rules.action == SHRINK and settled and len(ready) >= rules.least):
                return ready
            if waited > rules.limit_s:
                raise self._too_few(len(ready), waited, failure)
            time.sleep(_TICK)

    def _look(self, waited: float) -> Tuple[List[str], bool]:
        """Return the executors for ranks, and whether to wait for no others; replace those that hang."""
        executors = self._running.executors
        ready, unusable = self.ready(), self._unusable
        others = {one for one in executors.active() if one not in ready and one not in unusable}
        ours = others & self.newcomers.proven
        late = all(self.newcomers.late(one, READY_S) for one in others - ours)
        if waited > BUSY_S and len(ready) < self._running.size:
            # Idle ones register: their block managers are not there yet.
            for number in others & set(executors.busy()):
                if self.newcomers.hangs(number, BUSY_S):
                    self.drop(number)
        return ready, not ours and late and waited >= GRACE_S

    def drop(self, number: str) -> None:
        """Use an executor no more, and have Spark replace it."""
        self._dropped.add(number)
        try:
            self._running.executors.replace(number)
        except Exception as error:
            # It may be gone by now; Spark replaces it then by itself.
            print("executor {} is not replaced: {}".format(number, error), flush=True)

    def _too_few(self, there: int, waited: float, failure: Optional[TrainerError]) -> TrainerError:
        journal, rules = self._running.journal, self._rules
        needed = rules.least if rules.action == SHRINK else self._running.size
        resume: Dict[str, Any] = journal.snapshot.resume() if journal.snapshot else {}
        reason = failure.why if failure else "their nodes were taken"
        fields = {"there": there, "needed": needed, "seconds": round(waited), "reason": reason}
        return TrainerError("executors-not-replaced", **fields, **resume)
