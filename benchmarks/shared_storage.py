"""Benchmark of shared storage: MNIST from s3a:// against MNIST from hdfs://, in turn.

    python benchmarks/shared_storage.py --hdfs dev --s3 dev-s3 [--rounds 3] [--iterations 300]

Needs two stacks on which `fab submit-mnist` has run, one with HDFS and one with a bucket, alike in all else.
Prints images/s and the seconds of each phase, and their ratios, by round.
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
PHASES = ("start", "data", "train", "score")


def main() -> None:
    """Run the rounds."""
    arguments = argparse.ArgumentParser(description="MNIST from s3a:// against hdfs://")
    arguments.add_argument("--hdfs", default="dev")
    arguments.add_argument("--s3", required=True)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--iterations", type=int, default=300)
    options = arguments.parse_args()
    clusters = {
        kind: resolve(load_cluster(ROOT, stack, environment(ROOT, os.environ)), Console())
        for kind, stack in (("hdfs", options.hdfs), ("s3a", options.s3))
    }
    spec = read_spec(ROOT / "jobs/specs/mnist.yaml").with_overrides(iterations=options.iterations)
    quiet = Console(file=io.StringIO())
    ratios: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as results:
        for turn in range(options.rounds):
            seen: dict[str, dict[str, float]] = {}
            # The first run finds colder caches, so the order alternates.
            for kind in sorted(clusters, reverse=bool(turn % 2)):
                with Backends.of(clusters[kind]) as backends:
                    summary = run_job(backends.default, spec, "", quiet, Path(results))
                assert summary is not None
                seconds = {phase: summary.seconds[phase] for phase in PHASES}
                seen[kind] = {"images/s": summary.images_per_s or 0.0, **seconds}
            for name in seen["hdfs"]:
                ratio = seen["s3a"][name] / seen["hdfs"][name]
                ratios.setdefault(name, []).append(ratio)
                print(
                    f"round {turn + 1}: {name:<9} s3a {seen['s3a'][name]:>8,.1f}  "
                    f"hdfs {seen['hdfs'][name]:>8,.1f}  ratio {ratio:.2f}",
                    flush=True,
                )
    for name, some in ratios.items():
        print(f"{name:<9} ratio: {min(some):.2f} … {statistics.median(some):.2f} … {max(some):.2f}")


if __name__ == "__main__":
    main()
