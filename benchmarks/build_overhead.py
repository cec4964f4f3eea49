"""Benchmark of our build against a bare `cmake && make -j` of the same patched tree on the same node.

    python benchmarks/build_overhead.py [--stack dev]

Requires a stack whose head has just compiled the framework and still has its build folder. Our time is read
from the framework's manifest (configuring and compiling); the bare build runs now, in a copy.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

from bootstrap import paths
from bootstrap.errors import BuildError
from bootstrap.framework import load_recipe
from bootstrap.framework.manifest import MANIFEST, Manifest
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from bootstrap.ssh.remote import connect
from bootstrap.storage.hadoop import SharedStorage
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]

BARE = """set -e
rm -rf /var/tmp/bare; cp -a {work} /var/tmp/bare; rm -rf /var/tmp/bare/build; mkdir /var/tmp/bare/build
cd /var/tmp/bare/build
start=$(date +%s.%N)
cmake -Wno-dev {flags} .. >/dev/null
make -j"$(nproc)" {targets} >/dev/null 2>&1
end=$(date +%s.%N)
rm -rf /var/tmp/bare
echo "$start $end"
"""


def main() -> None:
    """Read ours, run the bare one, print both and their ratio."""
    arguments = argparse.ArgumentParser(description="Our build against a bare make")
    arguments.add_argument("--stack")
    stack = arguments.parse_args().stack
    cluster = resolve(load_cluster(ROOT, stack, environment(ROOT, os.environ)), Console())
    recipe = load_recipe("caffe-cpu")
    with connect(cluster, cluster.head) as head:
        key = head.run(f"basename $(readlink {paths.CAFFE_HOME})").stdout.strip()
        work = f"{paths.BUILDS}/caffe-{key}/work"
        if not head.run(f"test -d {work}", check=False).ok:
            raise BuildError(
                work, "it was not compiled on this head", "Run `fab build-headnode` without cache."
            )
        stored = SharedStorage(head, cluster.shared_storage).read(
            f"{paths.FRAMEWORKS}/caffe/{key}/{MANIFEST}"
        )
        phases = Manifest.from_bytes(stored or b"", work).built.phases
        flags = {**recipe.cmake, "USE_OPENCV": recipe.opencv}
        words = " ".join(f"'-D{name}={value}'" for name, value in sorted(flags.items()))
        said = head.run(
            BARE.format(work=work, flags=words, targets=" ".join(recipe.targets)), timeout=3600
        ).stdout
    ours = phases["Configure"] + phases["Compile"]
    start, end = map(float, said.split())
    print(f"ours {ours:.0f} s, bare {end - start:.0f} s, ratio {ours / (end - start):.2f}; phases: {phases}")


if __name__ == "__main__":
    main()
