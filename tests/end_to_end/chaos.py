"""Processes of a running job killed by SIGKILL: the job goes on; or stops, names the node, and resumes.

    python -m tests.end_to_end.chaos --stack dev --rounds 10 [--seed N] [--limit SECONDS]

A round kills one of each of `VICTIMS` at a random moment after the first snapshot, of jobs that are to fail
when they lose a worker, and of those on workers also of jobs that are to go on. The stack has to be up,
with the framework on it and workers for two executors; nothing else may run there.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.conftest import ROOT, Said, Stack, eventually

ITERATIONS, SNAPSHOT = 4000, 100
LASTING = 800
"""Iterations of a job that goes on."""
LATEST = 6.0
"""Seconds after the first snapshot within which a process is killed."""
LIMIT = 300.0
"""Seconds within which a job has to write its first snapshot, to end, and to end once resumed."""
MORE = 40
"""Iterations that are run from the snapshot."""
WORKERS = ("w1", "w2")
_RESUME = re.compile(r"from iteration (\d+) with -snapshot (\S+\.solverstate) -weights (\S+\.caffemodel)")
_GOES_ON = re.compile(r"iteration +(\d+) goes on ")

_RANK = (
    "ps -eo pid=,ppid=,args= | awk '/pyspark.daemon/ {parent[$1] = $2} "
    "END {for (pid in parent) if (parent[pid] in parent) print pid}'"
)
"""Prints the processes that Spark's daemon has forked, of which one computes."""


@dataclass(frozen=True)
class Victim:
    """A process of a job: where it runs, how it is found, and how the job's end names it."""

    name: str
    on_worker: bool
    kill: str
    """Shell command that kills it, and fails if it is not there."""
    named: str
    """Pattern of the words that name the node, `{node}`."""


VICTIMS = (
    Victim("driver", False, "pkill -9 -f 'python[0-9.]* .*main[.]py'", "{node}"),
    Victim("driver's JVM", False, "pkill -9 -f org.apache.spark.deploy.SparkSubmit", "{node}"),
    Victim(
        "executor's JVM",
        True,
        "pkill -9 -f org.apache.spark.executor.CoarseGrainedExecutorBackend",
        r"executor \d+ on {node}\b",
    ),
    Victim("rank", True, f"set -- $({_RANK}); [ $# -ge 1 ] && kill -9 $1", r"rank \d+ on {node}\b"),
)


class Chaos:
    """Kills on one stack; one seed gives the same moments and nodes."""

    def __init__(self, stack: Stack, folder: Path, seed: int, *, limit: float = LIMIT) -> None:
        self._stack, self._folder, self._limit = stack, folder, limit
        self._random = random.Random(seed)
        self._jobs = 0

    def take(self, victim: Victim) -> str:
        """Kill a victim during a job, and resume the job; return a line, which begins with FAIL or ok."""
        node = self._random.choice(WORKERS) if victim.on_worker else "head"
        moment = self._random.uniform(0.0, LATEST)
        place = f"{victim.name:<15} on {node:<4} {moment:4.1f} s after a snapshot"
        try:
            return self._taken(victim, node, moment, place)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self._end_jobs()
            return f"FAIL {place}: {error}"

    def goes_on(self, victim: Victim) -> str:
        """Kill a victim on a worker during a job that is to go on; return a line as `take` does."""
        node, moment = self._random.choice(WORKERS), self._random.uniform(0.0, LATEST)
        place = f"{victim.name:<15} on {node:<4} {moment:4.1f} s after a snapshot"
        try:
            said = self._killed(victim, node, moment, onWorkerLost="shrink", max_iter=LASTING)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self._end_jobs()
            return f"FAIL {place}: {error}"
        on = _GOES_ON.findall(said.output)
        if said.code != 0 or f"│ {LASTING:,}" not in said.output or not on:
            return f"FAIL {place}: it does not go on: {said.last}"
        return f"ok   {place}: went on from iteration {', '.join(on)}, ended {said.seconds:4.1f} s later"

    def _taken(self, victim: Victim, node: str, moment: float, place: str) -> str:
        stopped = self._killed(victim, node, moment, onWorkerLost="fail", max_iter=ITERATIONS)
        fault = _fault(stopped, victim.named.format(node=node))
        found = _RESUME.search(stopped.output)
        if fault or found is None:
            return f"FAIL {place}: {fault or 'no snapshot is named'}: {stopped.last}"
        iteration = int(found[1])
        resumed = self._stack.run(
            *self._submit(max_iter=iteration + MORE, snapshot=found[2], weights=found[3]), timeout=self._limit
        )
        if resumed.code != 0 or f"│ {MORE}" not in resumed.output:
            return f"FAIL {place}: it does not resume from {iteration}: {resumed.last}"
        return f"ok   {place}: ended after {stopped.seconds:4.1f} s, resumed from {iteration}"

    def _killed(self, victim: Victim, node: str, moment: float, **keys: object) -> Said:
        """Run a job and kill the victim; return what the job said, and the seconds until its end."""
        out = self._folder / f"job-{self._jobs}"
        with out.open("w") as file:
            process = subprocess.Popen(
                self._submit(**keys),
                cwd=ROOT,
                env=self._stack.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(
                lambda: " snapshot " in out.read_text() or process.poll() is not None,
                "a snapshot",
                self._limit,
            )
            time.sleep(moment)
            self._stack.on(node, victim.kill)
            began = time.monotonic()
            process.wait(self._limit)
        finally:
            process.kill()
            process.wait()
        return Said(process.returncode, out.read_text(), time.monotonic() - began)

    def _end_jobs(self) -> None:
        """Kill the jobs that run, which would hold the executors of the next one."""
        units = self._stack.on("head", "systemctl list-units --plain --no-legend 'caffe-spark-job-chaos-*'")
        for job in re.findall(r"^caffe-spark-job-(\S+)\.service", units, re.MULTILINE):
            self._stack.fab("kill", job)

    def _submit(self, **keys: object) -> tuple[str, ...]:
        """Write a specification of LeNet with snapshots; return the command that runs it."""
        self._jobs += 1
        folder = self._folder / f"spec-{self._jobs}"
        shutil.copytree(ROOT / "jobs" / "specs", folder)
        solver = folder / "lenet_memory_solver.prototxt"
        solver.write_text(solver.read_text().replace("snapshot: 5000", f"snapshot: {SNAPSHOT}"))
        spec = folder / "mnist.yaml"
        # Its own name: tests that run on this machine end processes of their `mnist` of the same second.
        text = spec.read_text().replace("name: mnist", "name: chaos")
        spec.write_text(text + "".join(f"{name}: {value}\n" for name, value in keys.items()))
        return ("fab", "submit", "--stack", self._stack.name, "--spec", str(spec))


def _fault(said: Said, named: str) -> str:
    """Return what is wrong with the end of a job whose process was killed; empty if nothing is."""
    if said.code != 1:
        return f"status {said.code}"
    if "Traceback" in said.output:
        return "a traceback"
    return "" if re.search(named, said.last) else f"nothing says {named}"


def main() -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.chaos", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--limit", type=float, default=LIMIT)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {options.seed}; every job's output: {folder}", flush=True)
    chaos = Chaos(Stack(folder, dict(os.environ), options.stack), folder, options.seed, limit=options.limit)
    lines = []
    for number in range(1, options.rounds + 1):
        for victim in VICTIMS:
            for kill in (chaos.take, *([chaos.goes_on] if victim.on_worker else [])):
                lines.append(kill(victim))
                print(f"round {number:>2}  {lines[-1]}", file=sys.stderr, flush=True)
    failed = sum(line.startswith("FAIL") for line in lines)
    print(f"{len(lines)} processes killed, seed {options.seed}")
    print(f"{failed} without a clear stop and a snapshot that resumes, or without an end")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
