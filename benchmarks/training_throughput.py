"""Benchmark of gradient averaging: two executors with communication against two without, in turn.

    python benchmarks/training_throughput.py [--stack dev] [--rounds 3] [--iterations 300]

Needs a stack on which `fab submit-mnist` has run. Prints images/s of each job and their ratio, by round.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
from pathlib import Path

from rich.console import Console

from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from jobs.backends.registry import Backends
from jobs.run.run import run_job
from jobs.spec_file import read_spec
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the rounds; a job's own training time counts, not Spark's start."""
    arguments = argparse.ArgumentParser(description="Cost of gradient averaging")
    arguments.add_argument("--stack")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--iterations", type=int, default=300)
    options = arguments.parse_args()
    cluster = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml")
    spec = spec.model_copy(
        update={"max_iter": options.iterations, "test": False, "features": (), "label": ""}
    )
    quiet = Console(file=io.StringIO())
    ratios = []
    with tempfile.TemporaryDirectory() as results:
        for turn in range(options.rounds):
            speed = {}
            for transport in ("ethernet", "none"):
                job = spec.model_copy(update={"transport": transport})
                with Backends.of(cluster) as backends:
                    summary = run_job(backends.default, job, "", quiet, Path(results))
                speed[transport] = (summary.images_per_s if summary else None) or 0.0
            ratios.append(speed["ethernet"] / speed["none"])
            print(
                f"round {turn + 1}: {speed['ethernet']:,.0f} images/s averaged, "
                f"{speed['none']:,.0f} alone, ratio {ratios[-1]:.2f}",
                flush=True,
            )
    print(f"ratio: {min(ratios):.2f} … {statistics.median(ratios):.2f} … {max(ratios):.2f}")


if __name__ == "__main__":
    main()
