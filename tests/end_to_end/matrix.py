"""Matrix of losses: a job interrupted at a moment of its own ends with its model, or stops with a snapshot.

    python -m tests.end_to_end.matrix --stack dev [ROW …]

Each row of `ROWS` is a job on real nodes, interrupted when an event of it says so. The stack has to be up,
with the framework on it and two workers; nothing else may run there. Kinds of interruptions in random order:
`benchmarks/spot_soak.py`.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from bootstrap.cluster import Cluster
from bootstrap.errors import CaffeSparkError, CommandFailed, JobError
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from jobs.backends.registry import Backends
from jobs.drill.containers import Containers
from jobs.drill.drill import Watched
from jobs.drill.record import Record
from jobs.run.run import run_job
from jobs.spec import JobSpec
from jobs.spec_file import read_spec
from jobs.trainer.contract import (
    Event,
    Failed,
    Note,
    Phase,
    Progress,
    RankStarted,
    Recovery,
    Snapshot,
    Trained,
    UploadFailed,
    WorkersLost,
)
from tests.end_to_end.chaos import VICTIMS
from tests.end_to_end.conftest import ROOT
from tools.environment import environment

ITERATIONS = 500
ROOM_S = 120.0
"""Seconds in which workers that a row took away are Spark's again."""
EXECUTOR, RANK = VICTIMS[2].kill, VICTIMS[3].kill
HANG = RANK.replace("kill -9", "kill -STOP")
DRIVER = "pkill -9 -f 'spark[.]deploy[.](SparkSubmit|yarn[.]ApplicationMaster)'"
UNIT = "systemctl kill --signal KILL 'caffe-spark-job-*'"
QUOTA = "su -s /bin/sh hdfs -c '/opt/hadoop/bin/hdfs dfsadmin {} /jobs'"
"""Shared storage without room for more than what is there, as a disk that is full."""
When = Callable[[Event], bool]
Action = Callable[["Nodes"], object]


@dataclass
class Nodes:
    """Workers of a stack, from outside."""

    containers: Containers

    def on(self, node: str, script: str) -> None:
        """Run a script on a node, as root."""
        # Not as an argument: `pkill -f` would find its own shell.
        run = (self.containers.engine, "exec", "-i", self.containers.name(node), "sh", "-s")
        done = subprocess.run(run, input=script, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise CommandFailed(f"{script!r} on {node}", done.stderr.strip(), "Look at the node.")

    def reboot(self, node: str) -> None:
        """Take a node's power away, and give it back."""
        self.containers.run("restart", "--time", "0", self.containers.name(node))


def kills(command: str, *nodes: str) -> Action:
    """Return the action of a process killed on each of the nodes."""

    def run(stack: Nodes) -> None:
        for node in nodes:
            stack.on(node, command)

    return run


def kills_somewhere(command: str) -> Action:
    """Return the action of a process killed where it runs: on the head, or on one of the workers."""

    def run(stack: Nodes) -> None:
        said = []
        for node in ("head", "w1", "w2"):
            try:
                stack.on(node, command)
            except CommandFailed as error:
                said.append(error)
            else:
                return
        raise said[0]

    return run


def begins(phase: str) -> When:
    """Return the beginning of a phase."""
    return lambda event: isinstance(event, Phase) and event.phase == phase


def trains(event: Event) -> bool:
    """Return whether training has come beyond its first iterations."""
    return isinstance(event, Progress) and event.iteration > 20


def says(kind: type[Event]) -> When:
    """Return the event of a kind."""
    return lambda event: isinstance(event, kind)


@dataclass(frozen=True)
class Row:
    """A job, what happens to it and when, and its end: with a model, or with words of its failure."""

    name: str
    steps: tuple[tuple[When, Action], ...]
    """Each after the one before."""
    keys: dict[str, Any] = field(default_factory=dict)
    undo: Action = lambda stack: None
    attempts: int = 2
    """Attempts at training, at least; 1 where training was not interrupted."""
    executors: int = 0
    """Of the last attempt; 0 for any number."""
    fails: tuple[str, ...] = ()


AGAIN = {"onDriverLost": "restart"}
AWAY, BACK = "mv /opt/caffe /opt/caffe.away", "[ ! -e /opt/caffe.away ] || mv /opt/caffe.away /opt/caffe"
ROWS = (
    Row("data loading", ((begins("data"), kills(EXECUTOR, "w2")),), attempts=1),
    Row("rendezvous", ((says(RankStarted), kills(EXECUTOR, "w2")),)),
    Row("a rank at its start", ((says(RankStarted), kills(RANK, "w1")),)),
    Row("a rank that hangs before it connects", ((says(RankStarted), kills(HANG, "w2")),), {"timeout": 20.0}),
    Row(
        "a rank alone that hangs",
        ((says(Snapshot), kills_somewhere(HANG)),),
        {"executors": 1, "timeout": 15.0},
    ),
    Row("a snapshot", ((says(Snapshot), kills(RANK, "w1")),), {"snapshotEvery": 1.0}),
    Row("two at once", ((says(Snapshot), kills(EXECUTOR, "w1", "w2")),)),
    Row(
        "a second one during the first recovery",
        ((says(Snapshot), kills(EXECUTOR, "w2")), (says(WorkersLost), kills(EXECUTOR, "w1"))),
    ),
    Row("its driver", ((says(Snapshot), kills_somewhere(DRIVER)),), AGAIN),
    Row("its driver with all of its unit", ((says(Snapshot), kills(UNIT, "head")),), AGAIN),
    Row("the head", ((says(Snapshot), lambda stack: stack.reboot("head")),), AGAIN, executors=2),
    Row("its driver while it scores", ((begins("score"), kills_somewhere(DRIVER)),), AGAIN, attempts=1),
    Row("scoring", ((begins("score"), kills(EXECUTOR, "w2")),), attempts=1),
    Row(
        "no room for snapshots",
        (
            (says(Snapshot), lambda stack: stack.on("head", QUOTA.format("-setSpaceQuota 1"))),
            (says(UploadFailed), kills(EXECUTOR, "w2")),
            (says(Recovery), lambda stack: stack.on("head", QUOTA.format("-clrSpaceQuota"))),
        ),
        {"snapshotEvery": 2.0, "max_iter": 600},
        undo=lambda stack: stack.on("head", QUOTA.format("-clrSpaceQuota")),
    ),
    Row(
        "a replacement without Caffe, which comes later",
        (
            (says(Snapshot), kills(f"{AWAY} && {EXECUTOR}", "w2")),
            (says(Note), lambda stack: stack.on("w2", BACK)),
        ),
        {"max_iter": 1500},
        undo=lambda stack: stack.on("w2", BACK),
        attempts=3,
        executors=2,
    ),
    Row(
        "replacements that never come",
        # Of both workers: what one of them loses may have room on the other.
        ((says(Snapshot), kills("systemctl stop spark-worker", "w1", "w2")),),
        {"onWorkerLost": "wait", "replacementLimit": 20.0, "max_iter": 20_000},
        undo=kills("systemctl start spark-worker", "w1", "w2"),
        fails=("0 of 2 executors", "solverstate"),
    ),
)


class Course:
    """Steps of a row, taken as the events of its job come; `attempts` and `last` are what recovery did."""

    def __init__(self, row: Row, nodes: Nodes) -> None:
        self._row, self._nodes = row, nodes
        self._left = list(row.steps)
        self._threads: list[threading.Thread] = []
        self.attempts, self.last, self.wrong, self.trained = 1, 0, list[str](), False

    def on_event(self, event: Event) -> None:
        """Take an event of the job."""
        if isinstance(event, Recovery):
            self.attempts, self.last = event.generation, event.executors
        self.trained = self.trained or isinstance(event, Trained)
        if self._left and not isinstance(event, Failed) and self._left[0][0](event):
            thread = threading.Thread(target=self._act, args=(self._left.pop(0)[1],))
            thread.start()
            self._threads.append(thread)

    def _act(self, action: Action) -> None:
        try:
            action(self._nodes)
        except CaffeSparkError as error:
            self.wrong.append(str(error))

    def end(self) -> list[str]:
        """Return what went otherwise than the row has it, once its job is over."""
        for thread in self._threads:
            thread.join()
        row = self._row
        if self._left:
            self.wrong.append(f"{len(self._left)} steps were not taken: the job was over")
        if not row.fails and self.attempts < row.attempts:
            self.wrong.append(f"{self.attempts} attempts")
        if row.executors and self.last != row.executors:
            self.wrong.append(f"it ended with {self.last} executors")
        return self.wrong


def take(row: Row, cluster: Cluster) -> str:
    """Run a row; return a line, which begins with FAIL or ok."""
    nodes = Nodes(Containers.of(cluster.stack, cluster.head.name))
    course, began = Course(row, nodes), time.monotonic()
    keys = {"name": "matrix", "max_iter": ITERATIONS, "snapshotEvery": 3.0, "onWorkerLost": "shrink"}
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml").model_copy(update={**keys, **row.keys})
    said, found = "", None
    try:
        with Backends.of(cluster) as backends:
            watched = Watched(backends.default, Record(), course.on_event)
            found = run_job(watched.backend, spec, "", Console(file=io.StringIO()), ROOT / "results")
    except CaffeSparkError as error:
        said = str(error)
    finally:
        wrong = course.end()
        row.undo(nodes)
        await_room(cluster, spec)
    if row.fails:
        wrong += [f"{words!r} is not in its end: {said}" for words in row.fails if words not in said]
    elif found is None or found.iterations != spec.max_iter:
        wrong.append(said or f"it ended after {found.iterations if found else 0} iterations")
    seconds = time.monotonic() - began
    if wrong:
        return f"FAIL {row.name}: {'; '.join(wrong)}"
    end = "stopped with its snapshot" if row.fails else f"accuracy {found.accuracy if found else 0:.4f}"
    return f"ok   {row.name}: {course.attempts} attempts, {end}, {seconds:.0f} s"


def await_room(cluster: Cluster, spec: JobSpec) -> None:
    """Wait until a job fits again: what runs next on the stack finds it as it was.

    Raises:
        JobError: it does not fit in `ROOM_S`.
    """
    waiting = Retrying(
        stop=stop_after_delay(ROOM_S),
        wait=wait_fixed(1),
        retry=retry_if_exception_type(JobError),
        reraise=True,
    )
    with Backends.of(cluster) as backends:
        waiting(backends.default.capacity, spec)


def the_cluster(stack: str) -> Cluster:
    """Return the nodes of a stack."""
    return resolve(load_cluster(ROOT, stack, environment(ROOT, os.environ)), Console())


def main() -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.matrix", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("rows", nargs="*", help="beginnings of their names; all without any")
    options = parser.parse_args()
    cluster = the_cluster(options.stack)
    lines = []
    for row in ROWS:
        if options.rows and not row.name.startswith(tuple(options.rows)):
            continue
        lines.append(take(row, cluster))
        print(lines[-1], flush=True)
    return 1 if any(line.startswith("FAIL") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
