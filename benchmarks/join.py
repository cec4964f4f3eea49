"""Benchmark of joins: a worker of a distributor's image against one of an image that `fab bake-image` makes.

    python benchmarks/join.py [--rounds 3]

Makes a local stack of its own with an S3 server, and removes it. In each round a container without packages
joins by the user data and the boot program of AWS; the script of `bootstrap.images.generalize` removes its
identity, and an image is made of it. From that, a container with another name joins, and the first one again,
as a worker does after `fab bake-image`. Simulated are the instance metadata, Auto Scaling and Security Token
services, cloud-init's data source (a folder), and the image (the engine's commit, not EC2's).

Timed from the first line of the user data to the report `ready`. Prints seconds by round, the steps that the
image saves, and the ratio bare/baked as min … median … max. Exit status 1: a machine is no whole node, or the
image has something of the first one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cloud import cloud_init
from tests.cloud.bucket_stack import Place, bucket, bucket_stack
from tests.cloud.joining import Joining, Step, as_group, identity_of, steps_of
from tests.cloud.machine import ENGINE, Machine, base_image, made
from tests.cloud.servers import scaling_service, token_service
from tests.end_to_end.conftest import Stack, own_state

PLACE = Place(name="e2e-join", subnet="10.89.91.0/24", port=7071, bucket="caffe-spark-join")
BARE, BAKED = "localhost/caffe-spark-join:bare", "localhost/caffe-spark-join:baked"
FIRST = 20
"""Number of the first machine on its network."""


@dataclass(frozen=True)
class Round:
    """Seconds of three joins, and the steps of the first two."""

    bare: float
    baked: float
    again: float
    bare_steps: Sequence[Step]
    baked_steps: Sequence[Step]


def main() -> None:
    """Make the stack and both images, run the rounds, and remove all of it."""
    arguments = argparse.ArgumentParser(description="Joins from a bare image against a baked one")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Stack(Path(folder), own_state(Path(folder), os.environ))
        with (
            bucket_stack(base, PLACE, workers=1) as stack,
            bucket(stack, PLACE) as store,
            token_service(PLACE.gateway) as tokens,
            scaling_service(PLACE.gateway) as scaling,
        ):
            built = stack.fab("build-headnode", timeout=2400)
            assert built.code == 0, built.output
            joining = Joining(as_group(stack.cluster(), tokens), store, scaling)
            try:
                image_with_cloud_init(joining)
                rounds = [one_round(joining, number) for number in range(options.rounds)]
            finally:
                ENGINE.run("rmi", "--force", "--ignore", BAKED, BARE)
    told(rounds)


def image_with_cloud_init(joining: Joining) -> None:
    """Make the image of a distributor: the base image of local nodes, with cloud-init."""
    machine = made(joining.cluster, "distributor", "", 9, image=base_image(), bare=True)
    machine.start()
    machine.gets_a_metadata_service()
    cloud_init.install(machine)
    machine.run("apt-get clean; rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*; : >/etc/machine-id")
    cloud_init.image_of(machine, BARE)
    ENGINE.remove_containers(machine.container)


def one_round(joining: Joining, number: int) -> Round:
    """Let a bare machine join, then one of its image, then the first one again; all are whole nodes."""
    cluster, place = joining.cluster, FIRST + 2 * number
    bare = made(cluster, f"bare{number}", f"i-0123456789abc{place:04}", place, image=BARE, bare=False)
    baked = None
    try:
        bare_s = joins(joining, bare)
        bare_steps, identity = steps_of(bare), identity_of(joining, bare)
        began = time.monotonic()
        cloud_init.remove_identity(joining, bare)
        cloud_init.image_of(bare, BAKED)
        image_s = time.monotonic() - began
        left = cloud_init.files_with(BAKED, identity)
        assert not left, f"the image tells of {bare.name}: {left}"
        place += 1
        baked = made(cluster, f"baked{number}", f"i-0123456789abc{place:04}", place, image=BAKED, bare=False)
        baked_s = joins(joining, baked)
        baked_steps = steps_of(baked)
        again_s = joins(joining, bare)
    finally:
        ENGINE.remove_containers(*(each.container for each in (bare, baked) if each))
        ENGINE.run("rmi", "--force", "--ignore", BAKED)
    print(
        f"round {number + 1}: bare {bare_s:.1f} s, baked {baked_s:.1f} s, ratio {bare_s / baked_s:.1f}; "
        f"image {image_s:.0f} s, then joined again in {again_s:.1f} s; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return Round(bare_s, baked_s, again_s, bare_steps, baked_steps)


def joins(joining: Joining, machine: Machine) -> float:
    """Boot a machine; return the seconds from the start of its user data until it is ready."""
    cloud_init.give(machine, joining.user_data())
    joining.forget(machine)
    machine.start()
    report = joining.joined(machine)
    begun = float(machine.run(f"cat {cloud_init.BEGUN}"))
    ready = joining.file(machine).stat().st_mtime
    faults = joining.faults(machine, report)
    assert not faults, f"{machine.name} is no whole node: {faults}"
    return ready - begun


def told(rounds: Sequence[Round]) -> None:
    """Print what the image saves."""
    last = rounds[-1]
    by_name = {(step.role, step.name): step for step in last.baked_steps}
    saved = [step for step in last.bare_steps if step.changed and not by_name[step.role, step.name].changed]
    print(f"{len(last.bare_steps)} steps, of which a baked image saves {len(saved)}; a second or more took:")
    for step in saved:
        if step.seconds:
            print(f"  {step.seconds:>4} s  {step.role}: {step.name}")
    print("still run, with their seconds:")
    for step in last.baked_steps:
        if step.changed:
            print(f"  {step.seconds:>4} s  {step.role}: {step.name}")
    for name, found in (
        ("bare, s", [each.bare for each in rounds]),
        ("baked, s", [each.baked for each in rounds]),
        ("joined again, s", [each.again for each in rounds]),
        ("bare/baked", [each.bare / each.baked for each in rounds]),
    ):
        print(f"{name:<16} {min(found):.1f} … {statistics.median(found):.1f} … {max(found):.1f}")


if __name__ == "__main__":
    main()
