"""Benchmark of reading: steps that take their batches from an LMDB against steps on one batch that stays.

    python benchmarks/feed.py [--rounds 11] [--seconds 2]

Runs the framework of the operator's cache on this machine, on one thread of OpenBLAS. For each net, the two
ways take turns in one process. Prints the ratio of a step's seconds by quartiles, and the seconds in which
the feed alone makes a batch. The nets: LeNet (batch 64), CIFAR-10 quick (batch 100) and CaffeNet (batch 16,
encoded records of 256x256 with random crops and mirrors).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from tests.jobs.trainer.artefact import found

PROGRAM = Path(__file__).with_name("feed_steps.py")


def main() -> None:
    """Run the rounds of each net."""
    arguments = argparse.ArgumentParser(description="Cost of reading")
    arguments.add_argument("--rounds", type=int, default=11)
    arguments.add_argument("--seconds", type=float, default=2)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        caffe = found(Path(folder) / "framework")
        path = os.pathsep.join([str(caffe.folder / "python"), str(Path(__file__).parents[1])])
        subprocess.run(
            [caffe.python, str(PROGRAM), folder, str(options.rounds), str(options.seconds)],
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "GLOG_minloglevel": "1"},
            check=True,
        )


if __name__ == "__main__":
    main()
