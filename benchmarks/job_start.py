"""Benchmark of YARN against Spark standalone on the same nodes, from submission to the first iteration.

    python benchmarks/job_start.py --stack dev-yarn [--rounds 3] [--iterations 300] [--slow-jvm]

Needs a stack with YARN on which `fab submit-mnist` has run. Data and results are on the nodes' HDFS for
both, so that only the cluster manager differs; both take turns at going first. Prints the seconds of each
step of the way, throughput and accuracy by round, and ratios as min … median … max. With --slow-jvm the
other one is YARN with the JVM's own defaults: what `QUICK_JVM` in jobs/submission saves. The stack has YARN
alone at the end.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster, Hdfs, Standalone
from bootstrap.engine.execute import apply
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from bootstrap.ssh.remote import connect
from jobs.backends.registry import Backends
from jobs.datasets.prepare import ensure_data
from jobs.run.run import run_job
from jobs.spec_file import read_spec
from jobs.submission import spark_submit
from jobs.submission.spark_submit import QUICK_JVM
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("accepted", "driver", "executors", "data", "train", "iteration")
"""Steps of a job's start, each timed from the one before: accepted by YARN, driver started, executors
registered, data checked, training started, first iteration done."""


def main() -> None:
    """Run the rounds."""
    arguments = argparse.ArgumentParser(description="Job start with YARN against Spark standalone")
    arguments.add_argument("--stack", default="dev-yarn")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--iterations", type=int, default=300)
    arguments.add_argument("--slow-jvm", action="store_true")
    options = arguments.parse_args()
    stack = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    on_hdfs = stack.model_copy(update={"storage": Hdfs(uri=stack.hdfs)})
    clusters = {
        "yarn": on_hdfs,
        "standalone": on_hdfs.model_copy(update={"scheduler": Standalone(master="spark://head:7077")}),
    }
    if options.slow_jvm:
        clusters = {"yarn": clusters["yarn"], "slow-jvm": clusters["yarn"]}
    other = next(kind for kind in clusters if kind != "yarn")
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml").with_overrides(iterations=options.iterations)
    quiet = Console(file=io.StringIO())
    ensure_data(clusters["yarn"], spec, quiet)
    seen: dict[str, list[dict[str, float]]] = {kind: [] for kind in clusters}
    try:
        with tempfile.TemporaryDirectory() as results:
            for turn in range(options.rounds):
                for kind in sorted(clusters, reverse=bool(turn % 2)):
                    switch(stack, clusters, kind, quiet)
                    spark_submit.QUICK_JVM = "" if kind == "slow-jvm" else QUICK_JVM
                    with Backends.of(clusters[kind]) as backends:
                        summary = run_job(backends.default, spec, "", quiet, Path(results))
                    assert summary is not None
                    figures = way(clusters[kind], summary.job)
                    figures |= {"images/s": summary.images_per_s or 0.0, "accuracy": summary.accuracy or 0.0}
                    seen[kind].append(figures)
                    shown = "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())
                    print(f"round {turn + 1} {kind:<10} {shown}", flush=True)
    finally:
        switch(stack, clusters, "yarn", quiet)
        apply(stack, ["spark"], console=quiet)
    for name in seen[other][0]:
        ratios = [
            mine[name] / theirs[name]
            for mine, theirs in zip(seen["yarn"], seen[other], strict=True)
            if theirs[name] and name in mine
        ]
        if ratios:
            low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
            print(f"{name:<10} ratio yarn/{other}: {low:.2f} … {middle:.2f} … {high:.2f}")


def switch(stack: Cluster, clusters: Mapping[str, Cluster], kind: str, console: Console) -> None:
    """Configure Spark for one of the two; the standalone daemons run only while they are measured."""
    cluster = clusters[kind]
    if kind == "standalone":
        apply(cluster, ["spark", "spark_standalone", "spark_history"], console=console)
        return
    for node in stack.nodes:
        with connect(stack, node) as remote:
            remote.run("systemctl stop spark-worker spark-master 2>/dev/null || true")
    apply(cluster, ["spark", "spark_history"], console=console)


def way(cluster: Cluster, job: str) -> dict[str, float]:
    """Return the seconds of each step, and from the job's submission to its first iteration."""
    with connect(cluster, cluster.head) as head:
        folder = f"{paths.JOBS}/{job}"
        lines = head.run(f"stat -c %.Y {folder}/run.sh; cat {folder}/work/events.jsonl").stdout.splitlines()
    begun, events = float(lines[0]), [json.loads(line) for line in lines[1:]]
    marks = moments(events)
    figures: dict[str, float] = {}
    before = begun
    for step in STEPS:
        if step in marks:
            figures[step] = round(marks[step] - before, 2)
            before = marks[step]
    return {**figures, "in all": round(marks["iteration"] - begun, 2)}


def moments(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the time of each step in seconds since the epoch."""
    marks: dict[str, float] = {}
    for event in events:
        name = str(event["event"])
        if name == "phase":
            name = {"start": "driver"}.get(event["phase"], event["phase"])
        elif name == "application":
            name = "accepted"
        elif name in ("progress", "display"):
            name = "iteration"
        marks.setdefault(name, event["time"])
    return marks


if __name__ == "__main__":
    main()
