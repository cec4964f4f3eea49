"""Benchmark of a job's start, from submission to its first iteration, against a bare job of Spark.

    python benchmarks/job_start.py [--stack dev] [--rounds 5] [--iterations 20]
    python benchmarks/job_start.py --stack dev-yarn [--slow-jvm]

Needs a stack on which `fab submit-mnist` has run. The bare job is an empty barrier stage of as many executors
and as much memory, given to spark-submit with its defaults; it ends when all its tasks have met. Both take
turns at going first.

A stack with YARN runs the job, and the bare one, on Spark's own master too, on the same nodes, with data and
results on their HDFS, so that only the cluster manager differs. With --slow-jvm the other one is YARN with
the JVM's own defaults: what `QUICK_JVM` in jobs/submission saves. Such a stack has YARN alone at the end.

Prints the seconds of each step of the way, throughput and accuracy by round, and ratios as
min … median … max.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
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
from jobs.spec import JobSpec
from jobs.spec_file import read_spec
from jobs.submission import spark_submit
from jobs.submission.spark_submit import QUICK_JVM
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("accepted", "driver", "executors", "data", "train", "iteration")
"""Steps of a job's start, each timed from the one before: accepted by YARN, driver started, executors
registered, data checked, training started, first iteration done."""
BARE = """\
import sys, time
from pyspark import BarrierTaskContext, SparkContext

def meet(rows):
    BarrierTaskContext.get().barrier()
    return [time.time()]

context = SparkContext.getOrCreate()
size = int(sys.argv[1])
met = context.parallelize(range(size), size).barrier().mapPartitions(meet).collect()
with open("ended", "w") as file:
    print(max(met), file=file)
context.stop()
"""


def main() -> None:
    """Run the rounds."""
    arguments = argparse.ArgumentParser(description="Job start against a bare job of Spark")
    arguments.add_argument("--stack", default="dev")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--iterations", type=int, default=20)
    arguments.add_argument("--slow-jvm", action="store_true")
    options = arguments.parse_args()
    stack = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    clusters = kinds(stack, slow_jvm=options.slow_jvm)
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml").with_overrides(iterations=options.iterations)
    quiet = Console(file=io.StringIO())
    ensure_data(next(iter(clusters.values())), spec, quiet)
    seen: dict[str, list[dict[str, float]]] = {kind: [] for kind in clusters}
    try:
        with tempfile.TemporaryDirectory() as results:
            for turn in range(options.rounds):
                for kind in sorted(clusters, reverse=bool(turn % 2)):
                    if len(clusters) > 1:
                        switch(stack, clusters, kind, quiet)
                    spark_submit.QUICK_JVM = "" if kind == "slow-jvm" else QUICK_JVM
                    figures = measured(clusters[kind], spec, Path(results), bare_first=bool(turn % 2))
                    seen[kind].append(figures)
                    shown = "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())
                    print(f"round {turn + 1} {kind:<10} {shown}", flush=True)
    finally:
        if len(clusters) > 1:
            switch(stack, clusters, "yarn", quiet)
            apply(stack, ["spark"], console=quiet)
    for kind, rounds in seen.items():
        ratios(f"{kind}: in all/bare", [round["in all"] / round["bare"] for round in rounds])
    if len(clusters) > 1:
        other = next(kind for kind in clusters if kind != "yarn")
        for name in seen[other][0]:
            pairs = zip(seen["yarn"], seen[other], strict=True)
            found = [mine[name] / theirs[name] for mine, theirs in pairs if theirs[name] and name in mine]
            ratios(f"{name}: yarn/{other}", found)


def ratios(name: str, found: Sequence[float]) -> None:
    """Print ratios of two measurements of the same rounds."""
    if found:
        low, middle, high = min(found), statistics.median(found), max(found)
        print(f"{name:<28} {low:.2f} … {middle:.2f} … {high:.2f}")


def kinds(stack: Cluster, *, slow_jvm: bool) -> dict[str, Cluster]:
    """Return what to measure: the stack as it is, or with YARN against something else."""
    if isinstance(stack.scheduler, Standalone):
        return {"standalone": stack}
    yarn = stack.model_copy(update={"storage": Hdfs(uri=stack.hdfs)})
    if slow_jvm:
        return {"yarn": yarn, "slow-jvm": yarn}
    master = Standalone(master=f"spark://{stack.head.name}:7077")
    return {"yarn": yarn, "standalone": yarn.model_copy(update={"scheduler": master})}


def measured(cluster: Cluster, spec: JobSpec, results: Path, *, bare_first: bool) -> dict[str, float]:
    """Run the job and the bare one; return the figures of both."""
    first = bare(cluster, spec) if bare_first else 0.0
    with Backends.of(cluster) as backends:
        summary = run_job(backends.default, spec, "", Console(file=io.StringIO()), results)
    assert summary is not None
    figures = way(cluster, summary.job)
    figures |= {"images/s": summary.images_per_s or 0.0, "accuracy": summary.accuracy or 0.0}
    return {**figures, "bare": first or bare(cluster, spec)}


def bare(cluster: Cluster, spec: JobSpec) -> float:
    """Return the seconds from spark-submit to the end of an empty barrier stage."""
    conf = {
        "spark.executor.cores": spec.cores,
        "spark.task.cpus": spec.cores,
        "spark.cores.max": spec.cores * spec.executors,
        "spark.executor.instances": spec.executors,
        "spark.executor.memory": f"{spec.memory // 2}m",
        "spark.executorEnv.PYSPARK_PYTHON": paths.PYTHON,
        # Without it the stage is refused at first, and submitted again 15 s later.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
    }
    words = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    submit = [f"{paths.SPARK_HOME}/bin/spark-submit", "--master", cluster.spark_master, *words, "bare.py"]
    command = f"{paths.LOAD_PROFILE}; date +%s.%N >begun; exec {shlex.join(submit)} {spec.executors}"
    with connect(cluster, cluster.head) as head:
        ended = head.run(
            f"""set -e
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >bare.py <<'PROGRAM'
{BARE}
PROGRAM
chown -R {paths.JOB_USER} "$folder"
runuser -u {paths.JOB_USER} -- sh -c {shlex.quote(command)} >out 2>&1 || {{ tail -n 20 out >&2; exit 1; }}
cat begun ended
""",
            timeout=600,
        )
    begun, met = map(float, ended.stdout.split())
    return round(met - begun, 2)


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
