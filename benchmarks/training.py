"""Benchmark of gradient averaging under Spark: all ways in one application, in turn.

    python benchmarks/training.py [--stack dev] [--rounds 10] [--ranks 2] [--torch FOLDER]

Needs a stack on which `fab build-headnode` has run. The modes: `none` (every rank alone), `barrier` (each
step waits for all ranks, and averages nothing), `float32` and `float16` (gradients as they are sent), `caffe`
(a process of `caffe train` for each rank) and, with --torch, `ddp`: PyTorch's DistributedDataParallel over
gloo, by Spark's TorchDistributor. `--modes barrier,ready --seconds 60` has the cost of
being ready for the loss of a rank: `stepwise` is float32 step by step, `ready` the same with the questions,
notices and snapshots that training has, each for so many seconds, in turn every three. Batches stay, so that
reading costs nothing. Prints medians and quartiles by mode, and their ratios to `barrier` and `none` of the
same round. A round in which `barrier` is off its median by more than a tenth is marked; it counts.

--rate shapes what the workers of a stack on this machine send (tc's token bucket in their network
namespaces): 1gbit, 10gbit. Compare with `step_model.py`.

--torch is a folder on the nodes in which PyTorch is, as `pip install --target FOLDER torch` makes it there.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nets import LENET, LOSS, QUICK
from rich.console import Console
from training_rounds import ALONE, BY_CAFFE_ALONE, BY_TORCH, MARK, STEPWISE

from bootstrap.cluster import Cluster
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from jobs.backends.registry import Backends
from jobs.run.run import run_job
from jobs.spec import JobSpec
from jobs.spec_file import read_spec
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]
MODES = (ALONE, "barrier", "float32", "float16", BY_CAFFE_ALONE)
NETS: dict[str, dict[str, Any]] = {
    "LeNet": {"layers": [*LENET, LOSS], "batch": 64, "shape": (1, 28, 28)},
    "CIFAR-10 quick": {"layers": [*QUICK, LOSS], "batch": 100, "shape": (3, 32, 32)},
}
DISTURBED = 0.1
RESULTS = ROOT / "results"
Row = dict[str, Any]


def main() -> None:
    """Run the job and print its figures."""
    arguments = argparse.ArgumentParser(description="Cost of gradient averaging")
    arguments.add_argument("--stack", default="dev")
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--ranks", type=int, default=2)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--modes", default=",".join(MODES))
    arguments.add_argument("--nets", default=",".join(NETS))
    arguments.add_argument("--torch", default="")
    arguments.add_argument("--memory", default="1 GiB")
    arguments.add_argument("--rate", default="")
    options = arguments.parse_args()
    modes = options.modes.split(",") + ([BY_TORCH] if options.torch else [])
    cluster = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    workers = [f"caffe-spark-{options.stack}-{node.name}" for node in cluster.workers]
    with shaped(workers if options.rate else [], options.rate):
        found = measure(cluster, options, modes)
    for net, by_mode in found.items():
        print(table(net, options.ranks, by_mode), flush=True)


@contextmanager
def shaped(containers: Sequence[str], rate: str) -> Iterator[None]:
    """Limit what containers send, in this block."""
    inspected = [["podman", "inspect", "-f", "{{.State.Pid}}", one] for one in containers]
    pids = [subprocess.run(words, check=True, capture_output=True, text=True).stdout for words in inspected]
    spaces = [["nsenter", "-t", pid.strip(), "-n", "tc", "qdisc"] for pid in pids]
    bucket = ["root", "tbf", "rate", rate, "burst", "512kb", "latency", "50ms"]
    for space in spaces:
        subprocess.run([*space, "replace", "dev", "eth0", *bucket], check=True)
    try:
        yield
    finally:
        for space in spaces:
            subprocess.run([*space, "del", "dev", "eth0", "root"], check=True)


def measure(
    cluster: Cluster, options: argparse.Namespace, modes: Sequence[str]
) -> dict[str, dict[str, list[Row]]]:
    """Run the job; return rows, one a rank and round, by net and mode."""
    nets = json.dumps({name: NETS[name] for name in options.nets.split(",")})
    words = (options.ranks, options.rounds, options.seconds, ",".join(modes), nets)
    shipped = read_spec(ROOT / "jobs/specs/logistic_regression.yaml")
    spec = JobSpec.model_validate(
        {
            **shipped.model_dump(),
            "name": "training-rounds",
            "script": ROOT / "benchmarks/training_rounds.py",
            "arguments": (*map(str, words), options.torch or "-"),
            "executors": options.ranks,
            "memory": options.memory,
            "data": None,
            "features": (),
            "label": "",
        }
    )
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    with Backends.of(cluster) as backends:
        run_job(backends.default, spec, "", Console(file=io.StringIO()), RESULTS)
    log = max(RESULTS.glob(f"{spec.name}-*/job.log"))
    for line in log.read_text().splitlines():
        if MARK in line:
            row = json.loads(line.partition(MARK)[2])
            found[row["net"]][row["mode"]].append(row)
    return found


def table(net: str, ranks: int, by_mode: dict[str, list[Row]]) -> str:
    """Return the figures of a net."""
    speeds = {mode: speed(net, ranks, rows) for mode, rows in by_mode.items()}
    lines = [f"{net}, {ranks} ranks, {next(iter(by_mode.values()))[0]['steps']} steps a measurement"]
    for mode, rows in by_mode.items():
        words = [f"{mode:<8} {quartiles(list(speeds[mode].values()), ',.0f')} images/s"]
        for other in ("barrier", ALONE, STEPWISE):
            if mode != other and other in speeds:
                ratios = [speeds[mode][number] / speeds[other][number] for number in speeds[mode]]
                words.append(f"{quartiles(ratios, '.3f')} of {other}")
        for figure in ("cpu_ms", "switches", "straggler_ms", "communication_ms", "snapshots"):
            if figure in rows[0]:
                words.append(f"{figure} {statistics.median(row[figure] for row in rows):.2f}")
        lines.append("; ".join(words))
    if "barrier" in speeds:
        middle = statistics.median(speeds["barrier"].values())
        off = [number for number, one in speeds["barrier"].items() if abs(one / middle - 1) > DISTURBED]
        lines.append(f"disturbed rounds: {', '.join(map(str, off)) or 'none'} of {len(speeds['barrier'])}")
    return "\n".join(lines)


def speed(net: str, ranks: int, rows: Sequence[Row]) -> dict[int, float]:
    """Return images/s of all ranks by round."""
    batch = NETS[net]["batch"]
    return {row["round"]: ranks * batch * row["steps"] / row["together"] for row in rows}


def quartiles(values: Sequence[float], form: str) -> str:
    """Return the median, and the quartiles in parentheses."""
    if len(values) == 1:
        return format(values[0], form)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:{form}} ({low:{form}} … {high:{form}})"


if __name__ == "__main__":
    main()
