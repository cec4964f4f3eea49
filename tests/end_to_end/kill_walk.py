"""Commands killed by SIGKILL at random moments, each then run again: it has to finish the work.

    python -m tests.end_to_end.kill_walk --rounds 10 [--seed N]

A round kills `pulumi up`, `fab bootstrap`, `fab build-headnode`, `fab submit-mnist` and `pulumi destroy` of a
small stack of its own, one moment each. The framework comes from this user's build cache: run
`fab build-headnode` on any local stack before.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.conftest import ROOT, Said, Stack, own_state

NAME, SUBNET = "e2e-kills", "10.89.96.0/24"
ITERATIONS = 60
LIMIT = 1500
"""Seconds for a command that is run again; it never takes that long, but must not hang the walk."""


@dataclass(frozen=True)
class Step:
    """A command of the walk, and what has to hold after it has been run again; `holds` returns the fault."""

    name: str
    command: tuple[str, ...]
    holds: Callable[[Stack, Said], str]
    seconds: float
    """Duration to draw the first moment from, on two idle cores."""


@dataclass
class Walk:
    """Walk over a stack; one seed gives the same moments as far as durations are the same."""

    stack: Stack
    seed: int
    log: Path
    seconds: dict[str, float] = field(default_factory=dict)
    """Duration of each command's last complete run, from which the next moment is drawn."""
    kills: Counter[str] = field(default_factory=Counter)
    """Of each command, without those that ended before their moment came."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def take(self, step: Step) -> str:
        """Kill the command at a random moment, run it again; return a line, which begins with FAIL or ok."""
        moment = self._random.uniform(0.0, self.seconds.get(step.name, step.seconds))
        whole_tree = self._random.random() < 0.5
        ended = self._killed(step, moment, whole_tree)
        started = time.monotonic()
        said = self.stack.run(*step.command, "--stack", self.stack.name, timeout=LIMIT)
        took = time.monotonic() - started
        fault = f"status {said.code}: {said.last}" if said.code else step.holds(self.stack, said)
        if not fault:
            # What was done before the kill shortened this run.
            self.seconds[step.name] = took + (moment if took < step.seconds else 0.0)
        self.kills[step.name] += not ended
        what = "ended before" if ended else "tree" if whole_tree else "process"
        verdict = f"FAIL {fault}" if fault else "ok"
        line = f"{step.name:<15} killed at {moment:6.1f} s ({what:<12}) again {took:6.1f} s  {verdict}"
        with self.log.open("a") as log:
            log.write(f"{line}\n{said.output if fault else ''}")
        return line

    def _killed(self, step: Step, moment: float, whole_tree: bool) -> bool:
        """Start the command and kill it; True when it had ended before."""
        with self.log.open("a") as log:
            process = subprocess.Popen(
                (*step.command, "--stack", self.stack.name),
                cwd=ROOT,
                env=self.stack.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment)
                return True
            for pid in (*(descendants(process.pid) if whole_tree else ()), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        return False


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    found, parents = [pid], dict[int, int]()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _unchanged(stack: Stack, _: Said) -> str:
    again = stack.up().output
    counts = again.rpartition("Resources:")[2].partition("Duration:")[0].split()
    return "" if counts[1:] == ["unchanged"] else f"a second up changes something: {' '.join(counts)}"


def _provisioned(stack: Stack, _: Said) -> str:
    again = stack.fab("bootstrap").output
    changed = [line for line in again.splitlines() if " changed " in line and "skipped" not in line]
    return f"a second bootstrap changes something: {changed}" if changed else ""


def _healthy(stack: Stack, _: Said) -> str:
    said = stack.fab("doctor")
    return "" if said.code == 0 else f"fab doctor: {said.output}"


def _result(_: Stack, said: Said) -> str:
    return "" if "accuracy" in said.output else f"no accuracy: {said.last}"


def _nothing_left(stack: Stack, _: Said) -> str:
    left = [
        line
        for command in (
            ("ps", "-a", "--format", "{{.Names}}"),
            ("network", "ls", "--format", "{{.Name}}"),
            ("volume", "ls", "--format", "{{.Name}}"),
        )
        for line in subprocess.run(
            ("podman", *command), stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split()
        if f"caffe-spark-{stack.name}" in line
    ]
    return f"left: {', '.join(left)}" if left else ""


PULUMI = ("--yes", "--skip-preview", "--non-interactive")
SUBMIT = ("fab", "submit-mnist", "--executors", "1", "--iterations", str(ITERATIONS))
STEPS = (
    Step("up", ("pulumi", "up", *PULUMI), _unchanged, 8),
    Step("bootstrap", ("fab", "bootstrap"), _provisioned, 90),
    Step("build-headnode", ("fab", "build-headnode"), _healthy, 15),
    Step(
        "submit-mnist",
        ("fab", "submit-mnist", "--executors", "1", "--iterations", str(ITERATIONS)),
        _result,
        50,
    ),
    Step("destroy", ("pulumi", "destroy", *PULUMI), _nothing_left, 8),
)


@contextmanager
def small_stack(folder: Path, env: Mapping[str, str] = os.environ) -> Iterator[Stack]:
    """A stack of one worker with a state of its own; destroyed at the end."""
    stack = Stack(folder, own_state(folder, env), name=NAME)
    stack.config.write_text(f"config:\n  caffe-spark:workers: 1\n  caffe-spark:subnet: {SUBNET}\n")
    try:
        made = stack.pulumi("stack", "init")
        assert made.code == 0, made.output
        yield stack
    finally:
        stack.pulumi("destroy", "--yes", "--skip-preview")
        stack.config.unlink()


def main() -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.kill_walk", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    lines: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="kill-walk-"))
    print(f"seed {options.seed}; every command's output: {folder / 'log'}", flush=True)
    with (folder / "log").open("a", buffering=1) as log, redirect_stdout(log), small_stack(folder) as stack:
        walk = Walk(stack, options.seed, folder / "log")
        for number in range(1, options.rounds + 1):
            for step in STEPS:
                lines.append(walk.take(step))
                print(f"round {number:>2}  {lines[-1]}", file=sys.stderr, flush=True)
    failed = sum("FAIL" in line for line in lines)
    kills = ", ".join(f"{count} of {name}" for name, count in walk.kills.items())
    print(f"killed: {kills}; seed {options.seed}")
    print(f"{failed} commands did not finish the work when run again")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
