"""Course of a drill: waits until the job trains and has a snapshot, interrupts it, follows it to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from bootstrap.cluster import Cluster
from bootstrap.errors import CaffeSparkError, JobError
from jobs.backends.base import Backend, OnLine
from jobs.drill.record import Plan, Record
from jobs.job import SubmittedJob
from jobs.report.history import History
from jobs.spec import JobSpec
from jobs.trainer import contract
from jobs.trainer.contract import Event

Say = Callable[[str], None]


class Stage(Protocol):
    """The nodes, as the drill acts on them; `jobs.drill.group.Group` implements it."""

    @property
    def log(self) -> Path:
        """Output of the replacement."""
        ...

    def announce(self, nodes: Sequence[str], at: float) -> None:
        """Announce that nodes end at a time."""
        ...

    def withdraw(self, nodes: Sequence[str]) -> None:
        """Withdraw the announcement."""
        ...

    def take(self, nodes: Sequence[str]) -> None:
        """Take nodes away."""
        ...

    def replace(self, nodes: Sequence[str]) -> None:
        """Bring replacements; return when they are provisioned."""
        ...

    def cut(self, nodes: Sequence[str]) -> None:
        """Cut nodes off the network."""
        ...

    def heal(self, nodes: Sequence[str]) -> None:
        """Connect them again."""
        ...


class Watched:
    """A backend that passes on all that it does, and the events of the job that it follows to the drill."""

    def __init__(self, backend: Backend, record: Record, on_event: Callable[[Event], None]) -> None:
        self._backend, self._record, self._on_event = backend, record, on_event
        self.job: SubmittedJob | None = None
        self.on_launch: Callable[[SubmittedJob], None] = lambda job: None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the backend
        return getattr(self._backend, name)

    def launch(self, spec: JobSpec, framework: str, say: OnLine) -> SubmittedJob:
        """See `Backend.launch`."""
        self.job = self._backend.launch(spec, framework, say)
        self.on_launch(self.job)
        return self.job

    def follow(self, job: SubmittedJob, on_line: OnLine) -> int:
        """See `Backend.follow`."""
        # From the first line, also where the user has chosen to go on.
        self._record.restart()

        def both(line: str) -> None:
            on_line(line)
            event = self._record.line(line)
            if event is not None:
                self._on_event(event)

        return self._backend.follow(job, both)

    @property
    def backend(self) -> Backend:
        """This, as the protocol that it implements by passing on."""
        return cast(Backend, self)


class Drill:
    """Interruption of a job, in a thread beside the one that follows it: a block around `run_job`."""

    def __init__(self, plan: Plan, cluster: Cluster, stage: Stage, record: Record, say: Say) -> None:
        self._plan, self._cluster, self._stage, self._record, self._say = plan, cluster, stage, record, say
        self._trains, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._go, name="drill")
        self.nodes: list[str] = []
        """Nodes that were chosen."""
        self.error: CaffeSparkError | None = None
        """What kept the drill from its course."""

    def __enter__(self) -> Drill:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until nodes that were taken are back: the stack is left as it was."""
        self._over.set()
        self._trains.set()
        if self._thread.is_alive():
            self._say("the nodes are brought back")
        self._thread.join()

    def on_event(self, event: Event) -> None:
        """Take notice of an event of the job."""
        if isinstance(event, contract.Done | contract.Failed):
            self._over.set()
            self._trains.set()
        elif isinstance(event, contract.Snapshot):
            # Iterations and a snapshot: what is lost without a notice is counted from it.
            self._trains.set()

    def _go(self) -> None:
        self._trains.wait()
        if self._over.is_set():
            return
        try:
            self.nodes = victims(self._cluster, self._record.history, self._plan.count)
            self._interrupt()
        except CaffeSparkError as error:
            self.error = error
            # The job may wait for replacements for many minutes more.
            self._say(f"the drill cannot go on: {error}")

    def _interrupt(self) -> None:
        plan, stage, nodes, named = self._plan, self._stage, self.nodes, ", ".join(self.nodes)
        if plan.kind == "partition":
            self._say(f"{named}: cut off the network for {plan.heal_s:g} s")
            try:
                stage.cut(nodes)
                self._over.wait(plan.heal_s)
            finally:
                stage.heal(nodes)
            self._say(f"{named}: connected again")
            return
        if plan.kind == "notice":
            at = time.time() + plan.notice_s
            self._say(f"{named}: notice that the cloud takes it in {plan.notice_s:g} s")
            stage.announce(nodes, at)
            # A job that has ended is not to be disturbed any more: there is nothing to see.
            if self._over.wait(max(0.0, at - time.time())):
                stage.withdraw(nodes)
                return
        self._say(f"{named}: taken away")
        stage.take(nodes)
        self._say(f"{named}: a replacement is made; its log: {stage.log}")
        stage.replace(nodes)
        self._say(f"{named}: replaced")


def victims(cluster: Cluster, history: History, count: int) -> list[str]:
    """Choose the last workers with an executor of the job, but not the driver's. Pure.

    Raises:
        JobError: there are fewer.
    """
    hosts = {where["host"] for where in history.executors.values()}
    hosts |= {event.address or event.host for event in history.all(contract.RankStarted)}
    driver = history.last(contract.Application)
    spared = driver.host if driver else ""
    found = [
        node.name
        for node in cluster.workers
        if {node.name, node.address} & hosts and spared not in {node.name, node.address}
    ]
    if len(found) < count:
        why = f"the job has executors, without its driver, on {', '.join(found) or 'no worker'}"
        raise JobError(f"--count {count}", why, "Lower it, or raise executors in the specification.")
    return found[-count:]
