"""Benchmark of scoring: N executors against one, on the features and means of 60,000 images, in turn.

    python benchmarks/scoring.py [--stack dev] [--rounds 3] [--executors 2] [--means]

Needs a stack on which `fab submit-mnist` has run, with a core for each executor. The rows are those of
MNIST's training source, which a model of 20 iterations scores. Prints rows a second of the score phase by
round, which has Spark's planning and the writing of the features in it, and their ratio to N times one. An
executor that writes features needs two cores: one for Caffe in Python, one for the JVM. With --means there
are no features, and one is enough.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import statistics
import tempfile
from pathlib import Path

from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from jobs.backends.registry import Backends
from jobs.datasets import registry
from jobs.report.summary import Summary
from jobs.run.run import run_job
from jobs.spec import JobSpec
from jobs.spec_file import read_spec
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]
ROWS = 60_000


def main() -> None:
    """Run the rounds."""
    arguments = argparse.ArgumentParser(description="Scoring by several executors against one")
    arguments.add_argument("--stack", default="dev")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--executors", type=int, default=2)
    arguments.add_argument("--means", action="store_true")
    options = arguments.parse_args()
    cluster = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        model = run(cluster, trained(Path(folder)), Path(folder)).model
        spec = scoring(cluster, Path(folder), model)
        for turn in range(options.rounds):
            speed = {}
            for executors in sorted({1, options.executors}, reverse=bool(turn % 2)):
                job = spec.model_copy(update={"executors": executors})
                if options.means:
                    job = job.model_copy(update={"features": (), "label": ""})
                speed[executors] = ROWS / run(cluster, job, Path(folder)).seconds["score"]
            many, one = speed[options.executors], speed[1]
            ratios.append(many / one / options.executors)
            print(
                f"round {turn + 1}: {one:,.0f} rows/s by one executor, {many:,.0f} by {options.executors}: "
                f"{ratios[-1]:.2f} of {options.executors} times one",
                flush=True,
            )
    print(f"ratio: {min(ratios):.2f} … {statistics.median(ratios):.2f} … {max(ratios):.2f}")


def run(cluster: Cluster, spec: JobSpec, results: Path) -> Summary:
    """Run a job; return its summary."""
    with Backends.of(cluster) as backends:
        summary = run_job(backends.default, spec, "", Console(file=io.StringIO()), results)
    assert summary, "nobody detaches"
    return summary


def trained(folder: Path) -> JobSpec:
    """Return a job that trains a model to score with."""
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml")
    return spec.model_copy(update={"max_iter": 20, "test": False, "features": (), "label": ""})


def scoring(cluster: Cluster, folder: Path, model: str) -> JobSpec:
    """Return a job that scores MNIST's training source."""
    specs = shutil.copytree(ROOT / "jobs" / "specs", folder / "specs")
    net = specs / "lenet_memory_train_test.prototxt"
    source = f"{cluster.shared_storage}{registry.path_of('mnist')}/train_lmdb"
    net.write_text(re.sub(r'source: "[^"]*"', f'source: "{source}"', net.read_text()))
    spec = read_spec(specs / "mnist.yaml")
    changed = {"data": None, "train": False, "model": model, "batch": None, "features": ("accuracy", "loss")}
    return spec.model_copy(update=changed)


if __name__ == "__main__":
    main()
