"""Benchmark of a run without changes against pyinfra and Ansible: same steps, same nodes, in turn.

    python benchmarks/bootstrap_no_change.py [--stack dev] [--rounds 5]

Needs a stack that is up, and `ansible-playbook` and `pyinfra` on PATH (`pip install ansible-core pyinfra`, in
an environment of their own). Prints seconds (min, median, max) per tool, and the ratio of ours to each, round
by round: the machine's speed drifts, a ratio within one round hardly does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "peers"

OURS = """
import sys
from pathlib import Path
from bootstrap.cluster import Cluster
from bootstrap.engine.execute import apply
apply(Cluster.model_validate_json(Path(sys.argv[1]).read_text()), ["role"], folder=Path(sys.argv[2]))
"""


def commands(cluster: Cluster, document: Path, key: Path, folder: Path) -> dict[str, list[str]]:
    """Return the command line of each tool, with verified host keys and the stack's own key."""
    known = folder / "known_hosts"
    known.write_text("".join(f"{node.address} {node.host_key}\n" for node in cluster.nodes))
    addresses = ",".join(node.address for node in cluster.nodes)
    inventory = folder / "inventory.py"
    login = {"ssh_user": cluster.ssh.user, "ssh_key": str(key), "ssh_known_hosts_file": str(known)}
    inventory.write_text(f"nodes = ({[node.address for node in cluster.nodes]!r}, {login!r})\n")
    ssh = f"-o UserKnownHostsFile={known} -o ControlMaster=auto -o ControlPersist=60s"
    return {
        "ours": [sys.executable, "-c", OURS, str(document), str(PEERS)],
        "pyinfra": ["pyinfra", "-y", str(inventory), str(PEERS / "deploy.py")],
        "ansible": [
            *("ansible-playbook", "-i", addresses + ",", "-u", cluster.ssh.user, "--private-key", str(key)),
            *("-f", "5", "--ssh-common-args", ssh, str(PEERS / "playbook.yaml")),
        ],
    }


def main() -> None:
    """Converge once with each tool, then time rounds of all three."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--stack")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    cluster = resolve(load_cluster(ROOT, options.stack, environment(ROOT, os.environ)), Console())
    assert cluster.ssh.private_key is not None, "the stack has no private key of its own"
    private_key = cluster.ssh.private_key.get_secret_value()
    env = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key, document = folder / "key", folder / "cluster.json"
        for file in (key, document):
            file.touch(0o600)
        key.write_text(private_key)
        plain = cluster.model_dump(mode="json")
        plain["ssh"]["private_key"] = private_key
        plain["spark_secret"] = cluster.spark_secret.get_secret_value()
        document.write_text(json.dumps(plain))
        tools = commands(cluster, document, key, folder)
        seconds: dict[str, list[float]] = {tool: [] for tool in tools}
        for turn in range(options.rounds + 1):
            for tool, command in tools.items():
                started = time.monotonic()
                subprocess.run(command, env=env, check=True, capture_output=True)
                if turn:  # the first one converges
                    seconds[tool].append(time.monotonic() - started)
    for tool, taken in seconds.items():
        print(f"{tool:8} {min(taken):6.2f} {statistics.median(taken):6.2f} {max(taken):6.2f} s")
    for tool in ("pyinfra", "ansible"):
        ratios = sorted(ours / theirs for ours, theirs in zip(seconds["ours"], seconds[tool], strict=True))
        print(f"ours / {tool}: {ratios[0]:.3f} … {statistics.median(ratios):.3f} … {ratios[-1]:.3f}")


if __name__ == "__main__":
    main()
