"""Soak: one job through many interruptions of mixed kinds, against the same job without any.

    python benchmarks/spot_soak.py [--stack dev] [--interruptions 20] [--iterations 12000] [--seed N]
                                   [--kinds notice,executor,…] [--accuracy OF_THE_UNDISTURBED_JOB]

Needs a local stack on which `fab submit-mnist` has run, and nothing else that runs there. No node is made
anew: a `node` is rebooted as after a loss of power, and comes back by itself. Prints a line for each
interruption: what was lost, and the seconds until training went on; then the accuracy of both jobs and what
is left over. Exit status 1: the job did not end, the accuracy is off by more than 0.3 points, or something is
left. A job that ends before its interruptions says so: give it more iterations.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bootstrap import leftovers
from bootstrap.cluster import Cluster
from bootstrap.errors import CaffeSparkError
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from bootstrap.ssh.remote import connect
from jobs.backends.registry import Backends
from jobs.drill.containers import Containers
from jobs.drill.drill import Watched
from jobs.drill.record import Record
from jobs.report.summary import Summary
from jobs.run.run import run_job
from jobs.spec import JobSpec
from jobs.spec_file import read_spec
from jobs.trainer.contract import (
    NOTICE_FILE,
    Done,
    Event,
    Failed,
    Progress,
    RankStarted,
    Recovery,
    Snapshot,
)
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
TOLERANCE = 0.003
"""Accuracy that the interruptions may cost: 0.3 points."""
TIMEOUT_S = 15
"""Seconds after which a rank that hangs counts as lost."""
SNAPSHOT_S = 5
CUT_S = 30.0
"""Seconds of a partition: longer than both sides need to notice it."""
NOTICE_S = 30.0
"""Seconds from a notice until the node would go; it stays."""
LIMIT_S = 300.0
"""Seconds in which training has to go on."""
PAUSE_S = (1.0, 8.0)
"""Seconds between training that goes on and the next interruption."""
REMOVING_S = 80.0
"""Seconds in which nodes remove by themselves what a job has left."""
RANK = (
    "ps -eo pid=,ppid=,args= | awk '/pyspark.daemon/ {parent[$1] = $2} "
    "END {for (pid in parent) if (parent[pid] in parent) print pid}' | head -1"
)
SHELL = {
    "executor": "pkill -9 -f 'spark[.]executor[.](Yarn)?CoarseGrainedExecutorBackend'",
    "rank": f'pid=$({RANK}); [ -n "$pid" ] && kill -9 $pid',
    "hang": f'pid=$({RANK}); [ -n "$pid" ] && kill -STOP $pid',
}
"""Commands on a worker, by the kind of the interruption."""
KINDS = ("notice", *SHELL, "partition", "node")


class Soak:
    """Interruptions of a job that another thread follows."""

    def __init__(self, cluster: Cluster, kinds: list[str], seed: int, say: Callable[[str], None]) -> None:
        self._cluster, self._kinds, self._say = cluster, kinds, say
        self._random = random.Random(seed)
        self._containers = Containers.of(cluster.stack, cluster.head.name)
        self._change = threading.Condition()
        self._recoveries = list[Recovery]()
        self._hosts = set[str]()
        """Nodes with ranks of the current attempt."""
        self._trains = self._saved = self.over = False
        self.done = 0

    def on_event(self, event: Event) -> None:
        """Take an event of the job."""
        with self._change:
            if isinstance(event, Done | Failed):
                self.over = True
            elif isinstance(event, Recovery):
                self._recoveries.append(event)
                self._trains = self._saved = False
                self._hosts.clear()
            elif isinstance(event, RankStarted):
                self._hosts.add(event.host)
            elif isinstance(event, Snapshot):
                self._saved = True
            elif isinstance(event, Progress):
                self._trains = self._trains or event.iteration > self._first
            self._change.notify_all()

    @property
    def _first(self) -> int:
        return self._recoveries[-1].iteration if self._recoveries else 0

    def run(self, count: int) -> None:
        """Interrupt the job that many times, or until it ends."""
        for number in range(count):
            kind = self._kinds[number % len(self._kinds)]
            if not self._wait(lambda: self._trains and self._saved, "training and a snapshot"):
                return
            time.sleep(self._random.uniform(*PAUSE_S))
            # It may have stopped meanwhile, to go on with more executors.
            if not self._wait(lambda: self._trains and bool(self._hosts), "training"):
                return
            self._interrupt(kind)

    def _interrupt(self, kind: str) -> None:
        with self._change:
            node = self._random.choice(sorted(self._hosts))
        before, began = len(self._recoveries), time.monotonic()
        undo = self._strike(kind, node)
        try:
            if kind == "partition":
                time.sleep(CUT_S)
                undo()
            if kind == "notice" and not self._wait(lambda: len(self._recoveries) > before, kind):
                return
            if kind == "notice":
                undo()
            if not self._wait(lambda: len(self._recoveries) > before and self._trains, f"{kind} on {node}"):
                return
        finally:
            undo()
        after = self._recoveries[before]
        self.done += 1
        self._say(
            f"{self.done:>3} {kind:<9} on {node}: on again after {time.monotonic() - began:5.1f} s, "
            f"{after.executors} of {after.wanted} executors, {after.lost_iterations} iterations again"
        )

    def _strike(self, kind: str, node: str) -> Callable[[], None]:
        """Interrupt; return what is to be undone."""
        if kind == "partition":
            self._containers.cut(node)
            return lambda: self._containers.heal(node)
        if kind == "node":
            self._containers.run("restart", "--time", "0", self._containers.name(node))
            return lambda: None
        if kind == "notice":
            text = json.dumps({"why": "soak", "at": time.time() + NOTICE_S})
            self._on(node, f"printf %s '{text}' > {NOTICE_FILE}")
            return lambda: self._on(node, f"rm -f {NOTICE_FILE}")
        self._on(node, SHELL[kind])
        return lambda: None

    def _on(self, node: str, command: str) -> None:
        with connect(self._cluster, self._cluster.node(node)) as remote:
            remote.run(command)

    def _wait(self, condition: Callable[[], bool], what: str) -> bool:
        """Wait for a condition; return False if the job has ended before.

        Raises:
            TimeoutError: it does not come true in time.
        """
        with self._change:
            met = self._change.wait_for(lambda: self.over or condition(), LIMIT_S)
        if not met:
            raise TimeoutError(f"{what}: nothing for {LIMIT_S:g} s")
        return not self.over


def main() -> int:
    """Run both jobs; return the exit status."""
    arguments = argparse.ArgumentParser(description="Training through many interruptions")
    arguments.add_argument("--stack", default="dev")
    arguments.add_argument("--interruptions", type=int, default=20)
    arguments.add_argument("--iterations", type=int, default=12_000)
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments.add_argument("--kinds", default=",".join(KINDS))
    arguments.add_argument("--accuracy", type=float, default=None, help="of the undisturbed job, if known")
    options = arguments.parse_args()
    cluster = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml").model_copy(
        update={
            "max_iter": options.iterations,
            "timeout": TIMEOUT_S,
            "snapshotEvery": float(SNAPSHOT_S),
            "onWorkerLost": "shrink",
            # On YARN the driver is on one of the nodes that go.
            "onDriverLost": "restart",
        }
    )
    print(f"seed {options.seed}", flush=True)
    base = options.accuracy
    if base is None:
        undisturbed = job(cluster, spec.model_copy(update={"name": "soak-undisturbed"}), None)
        base = undisturbed.accuracy or 0.0
        print(f"undisturbed: accuracy {base:.4f}, {undisturbed.images_per_s:,.0f} images/s", flush=True)
    soak = Soak(cluster, options.kinds.split(","), options.seed, lambda line: print(line, flush=True))
    found = job(cluster, spec.model_copy(update={"name": "soak"}), soak, options.interruptions)
    accuracy = found.accuracy or 0.0
    print(f"{soak.done} of {options.interruptions} interruptions, accuracy {accuracy:.4f} for {base:.4f}")
    time.sleep(REMOVING_S)
    left, silent = leftovers.on_nodes(cluster, removing=False)
    for one in left:
        print(f"left over: {one.node} {one.path} ({one.what}, {one.size:,} bytes)")
    for node in silent:
        print(f"{node.node} does not answer: {node.why}")
    good = base - accuracy <= TOLERANCE and soak.done == options.interruptions and not (left or silent)
    return 0 if good else 1


def job(cluster: Cluster, spec: JobSpec, soak: Soak | None, count: int = 0) -> Summary:
    """Run a job, interrupted by a soak if there is one; return its summary."""
    console = Console(file=io.StringIO())
    failed = list[BaseException]()

    def interrupt(one: Soak) -> None:
        try:
            one.run(count)
        except (CaffeSparkError, TimeoutError) as error:
            failed.append(error)
            print(f"FAIL {error}", flush=True)

    with Backends.of(cluster) as backends:
        if soak is None:
            summary = run_job(backends.default, spec, "", console, RESULTS)
        else:
            watched = Watched(backends.default, Record(), soak.on_event)
            thread = threading.Thread(target=interrupt, args=(soak,))
            thread.start()
            try:
                summary = run_job(watched.backend, spec, "", console, RESULTS)
            finally:
                soak.on_event(Done())
                thread.join()
    if failed:
        raise failed[0]
    assert summary, "nobody detaches"
    return summary


if __name__ == "__main__":
    sys.exit(main())
