"""Model of a training step on many hosts, from constants that `training.py` measures.

    python benchmarks/step_model.py --step-ms 20 --megabytes 1.7 [--hidden-ms 8] [--cpu-ms 0.8]

A step takes what it takes without communication (`barrier`), the CPU's part of communication (`float32` less
`barrier`, unshaped), and what the network needs beyond the time in which the backward pass goes on:

    step = barrier + cpu + messages + max(0, wire - hidden)

Two hosts swap their gradients: `wire` is their bytes by the rate. N hosts send and receive 2 (N - 1) / N
times their bytes (reduce-scatter, all-gather), in two messages for each bucket and peer. The model has no
stragglers: those are in `barrier` of two hosts, and grow with N.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

HOSTS, RATES = (2, 8, 32, 100), (1, 10, 25)
"""Rates in Gbit/s."""
BUCKET_MB = 4
"""Of the largest bucket: see kMostElements of the native module."""


class Constants(NamedTuple):
    """What is measured: milliseconds, megabytes of gradients, and microseconds for each message."""

    step_ms: float
    megabytes: float
    hidden_ms: float
    cpu_ms: float
    message_us: float

    def step(self, hosts: int, rate: float) -> float:
        """Return milliseconds of a step."""
        share = 1 if hosts == 2 else 2 * (hosts - 1) / hosts
        wire_ms = share * self.megabytes * 8 / rate
        buckets = max(1, round(self.megabytes / BUCKET_MB))
        messages = 0 if hosts == 2 else 2 * buckets * (hosts - 1) * self.message_us / 1000
        return self.step_ms + self.cpu_ms + messages + max(0.0, wire_ms - self.hidden_ms)


def main() -> None:
    """Print a step's milliseconds, and its efficiency, by hosts and rate."""
    arguments = argparse.ArgumentParser(description="Model of a step")
    arguments.add_argument("--step-ms", type=float, required=True)
    arguments.add_argument("--megabytes", type=float, required=True)
    arguments.add_argument("--hidden-ms", type=float, default=0)
    arguments.add_argument("--cpu-ms", type=float, default=0)
    arguments.add_argument("--message-us", type=float, default=0)
    constants = Constants(**vars(arguments.parse_args()))
    print("hosts" + "".join(f"{rate:>14} Gbit/s" for rate in RATES))
    for hosts in HOSTS:
        steps = [constants.step(hosts, rate) for rate in RATES]
        print(f"{hosts:>5}" + "".join(f"{one:>12.1f} ms {constants.step_ms / one:5.2f}" for one in steps))


if __name__ == "__main__":
    main()
