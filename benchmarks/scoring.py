"""Benchmark of scoring: N executors against one, on the features and means of 60,000 images, in turn.

    python benchmarks/scoring.py [--stack dev] [--rounds 3] [--executors 2] [--means]

Needs a stack on which `fab submit-mnist` has run, with a core for each executor. The rows are those of
MNIST's training source, which a model of 20 iterations scores. Prints rows a second of the score phase by
round, which has Spark's planning and the writing of the features in it, and their ratio to N times one.
Scoring MNIST's test source as well tells apart what a phase costs whatever its rows, and the rows a second
besides. An executor that writes features needs two cores: one for Caffe in Python, one for the JVM. With
--means there are no features, and one is enough.
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
ROWS, FEW = 60_000, 10_000
SOURCES = {"train_lmdb": ROWS, "test_lmdb": FEW}
Seconds = dict[tuple[int, int], float]
"""Seconds of score phases, by executors and rows."""


def main() -> None:
    """Run the rounds."""
    arguments = argparse.ArgumentParser(description="Scoring by several executors against one")
    arguments.add_argument("--stack", default="dev")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--executors", type=int, default=2)
    arguments.add_argument("--means", action="store_true")
    options = arguments.parse_args()
    cluster = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    ratios: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = run(cluster, trained(), folder).model
        jobs = {rows: scoring(cluster, folder / source, source, model) for source, rows in SOURCES.items()}
        for turn in range(options.rounds):
            seconds = {
                (executors, rows): score(cluster, job, executors, folder, means=options.means)
                for executors in sorted({1, options.executors}, reverse=bool(turn % 2))
                for rows, job in jobs.items()
            }
            ratios.append(compared(seconds, options.executors))
            print(f"round {turn + 1}: {told(seconds, options.executors)}", flush=True)
    for what, found in zip(
        ("of the phase", "besides what a phase costs"), zip(*ratios, strict=True), strict=True
    ):
        print(f"ratio {what}: {min(found):.2f} … {statistics.median(found):.2f} … {max(found):.2f}")


def compared(seconds: Seconds, executors: int) -> tuple[float, float]:
    """Return the speed of N executors by N times that of one: of the phase, and besides what it costs."""
    phase = seconds[1, ROWS] / seconds[executors, ROWS] / executors
    return phase, rate(seconds, executors) / rate(seconds, 1) / executors


def rate(seconds: Seconds, executors: int) -> float:
    """Return rows a second besides what a phase costs, from a large and a small source."""
    return (ROWS - FEW) / (seconds[executors, ROWS] - seconds[executors, FEW])


def told(seconds: Seconds, executors: int) -> str:
    """Return the figures of a round."""
    words = []
    for number in (1, executors):
        speed = rate(seconds, number)
        fixed = seconds[number, FEW] - FEW / speed
        words.append(
            f"{ROWS / seconds[number, ROWS]:,.0f} rows/s by {number}, {speed:,.0f} besides {fixed:.1f} s"
        )
    phase, besides = compared(seconds, executors)
    return f"{'; '.join(words)}: {phase:.2f}, {besides:.2f} of {executors} times one"


def score(cluster: Cluster, spec: JobSpec, executors: int, results: Path, *, means: bool) -> float:
    """Run a job with so many executors; return the seconds of its score phase."""
    without = {"features": (), "label": ""} if means else {}
    return run(cluster, spec.model_copy(update={"executors": executors, **without}), results).seconds["score"]


def run(cluster: Cluster, spec: JobSpec, results: Path) -> Summary:
    """Run a job; return its summary."""
    with Backends.of(cluster) as backends:
        summary = run_job(backends.default, spec, "", Console(file=io.StringIO()), results)
    assert summary, "nobody detaches"
    return summary


def trained() -> JobSpec:
    """Return a job that trains a model to score with."""
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml")
    return spec.model_copy(update={"max_iter": 20, "test": False, "features": (), "label": ""})


def scoring(cluster: Cluster, folder: Path, source: str, model: str) -> JobSpec:
    """Return a job that scores a source of MNIST's."""
    specs = shutil.copytree(ROOT / "jobs" / "specs", folder)
    net = specs / "lenet_memory_train_test.prototxt"
    uri = f"{cluster.shared_storage}{registry.path_of('mnist')}/{source}"
    net.write_text(re.sub(r'source: "[^"]*"', f'source: "{uri}"', net.read_text()))
    spec = read_spec(specs / "mnist.yaml")
    changed = {"data": None, "train": False, "model": model, "batch": None, "features": ("accuracy", "loss")}
    return spec.model_copy(update=changed)


if __name__ == "__main__":
    main()
