"""Benchmark of the operator's side against the number of nodes: facts, plan and recap; doctor.

    python benchmarks/many_nodes.py [--nodes 3 10 20] [--rounds 7] [--chroot FOLDER]

Needs root and OpenSSH's server, of this machine or of a Debian system in a folder. Nodes are simulated:
loopback addresses of one server, whose every command reads the script that it is sent and answers it at once,
as a node in its desired state does. So this side is measured: each command is a process of its own, as `fab`
is. Prints seconds of wall and CPU time (min, median, max), and how the medians grow with the nodes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.keys import SshKeyProvider

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    "bootstrap": "apply(cluster, cluster.roles, dry_run=True, console=console)",
    "doctor": "assert all(finding.ok for finding in diagnose(cluster, console))",
}
LISTENS = 16
"""Addresses that one server can listen on."""
PROGRAM = """
import sys
from pathlib import Path
from bootstrap.cluster import ClusterDocument
from bootstrap.console import console
from bootstrap.doctor import diagnose
from bootstrap.engine.execute import apply
from bootstrap.inventory.resolve import resolve
cluster = resolve(ClusterDocument.model_validate_json(Path(sys.argv[1]).read_text()), console)
"""
ANSWER = r"""#!/bin/sh
# Answers the scripts of facts and of doctor: every guard holds, every check passes.
exec awk '
/^echo "@clock/ { system("date +\"@clock %s.%N\"") }
match($0, /@fact guard [0-9]+ /) { print substr($0, RSTART, RLENGTH) "0" }
match($0, /@check [0-9]+ %d/) { print substr($0, RSTART, RLENGTH - 2) "0" }
/@fact distribution/ { print "@fact distribution debian-12" }
/@fact arch/ { print "@fact arch amd64" }
/@fact disk_free_mb/ { print "@fact disk_free_mb 50000" }
/@fact memory_mb/ { print "@fact memory_mb 4096" }
'
"""


@contextmanager
def server(chroot: Path, folder: Path, most: int) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
    """Run the nodes' servers; yield their port, their key and the operator's."""
    inside = Path("/", folder.relative_to(chroot))
    host, operator = (SshKeyProvider().create({"purpose": name}).outs or {} for name in ("host", "operator"))
    for name, text, mode in (
        ("host_key", f"{host['private_key'].strip()}\n", 0o600),
        ("keys", f"{operator['public_key']}\n", 0o600),
        ("answer", ANSWER, 0o755),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "Port": port,
        "HostKey": inside / "host_key",
        "AuthorizedKeysFile": inside / "keys",
        "ForceCommand": inside / "answer",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "UseDNS": "no",
        # All nodes' logins arrive at once.
        "MaxStartups": 1000,
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    (chroot / "run" / "sshd").mkdir(exist_ok=True)
    words = [] if chroot == Path("/") else ["chroot", str(chroot)]
    words += ["/usr/sbin/sshd", "-D", "-e", "-f", str(inside / "config")]
    with ExitStack() as stack:
        for first in range(0, most, LISTENS):
            addresses = [address(number) for number in range(first, min(first + LISTENS, most))]
            process = subprocess.Popen(
                [*words, *(f"-oListenAddress={one}" for one in addresses)], stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            _await(addresses[-1], port, process)
        yield port, host, operator


def address(number: int) -> str:
    """Return the address of a node."""
    return f"127.0.1.{number + 1}"


def _await(at: str, port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        try:
            socket.create_connection((at, port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None:
                sys.exit(
                    "sshd does not run: install openssh-server, or name a system that has it by --chroot"
                )
            time.sleep(0.1)
        else:
            return


def document(count: int, port: int, host: dict[str, str], operator: dict[str, str]) -> str:
    """Return a cluster of a head and `count - 1` workers."""
    nodes = [
        {
            "name": "head" if number == 0 else f"w{number}",
            "address": address(number),
            "host_key": host["public_key"],
        }
        for number in range(count)
    ]
    return json.dumps(
        {
            "version": 2,
            "stack": "many",
            "provider": "local",
            "spark": "4.3",
            "head": nodes[0],
            "scheduler": {"kind": "standalone", "master": "spark://head:7077"},
            "storage": {"kind": "hdfs", "uri": "hdfs://head:9000"},
            "members": {"kind": "fixed", "workers": nodes[1:]},
            "ssh": {"user": "root", "port": port, "private_key": operator["private_key"]},
            "spark_secret": "not-to-be-seen",
            "worker": {"cores": 2, "memory_mb": 2048, "gpus": 0},
        }
    )


def measure(program: str, file: Path) -> tuple[float, float]:
    """Return seconds of wall and CPU time of one command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", program, str(file)], cwd=ROOT, check=True, capture_output=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Time rounds of every command at every number of nodes, in turn."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--nodes", type=int, nargs="+", default=[3, 10, 20])
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--chroot", type=Path, default=Path("/"))
    options = arguments.parse_args()
    cases = list(itertools.product(COMMANDS, options.nodes))
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(dir=options.chroot / "tmp") as name:
        folder = Path(name)
        with server(options.chroot, folder, max(options.nodes)) as (port, host, operator):
            for count in options.nodes:
                (folder / f"{count}.json").touch(0o600)
                (folder / f"{count}.json").write_text(document(count, port, host, operator))
            for turn in range(options.rounds + 1):
                for case in cases:
                    seconds = measure(PROGRAM + COMMANDS[case[0]], folder / f"{case[1]}.json")
                    if turn:  # the first one compiles bytecode
                        taken[case].append(seconds)
    print(f"{'':16} {'wall s: min, median, max':>26} {'CPU s: min, median, max':>26}")
    for (command, count), found in taken.items():
        columns = (
            f"{min(c):8.2f} {statistics.median(c):8.2f} {max(c):8.2f}" for c in zip(*found, strict=True)
        )
        print(f"{command:10} {count:5} {'  '.join(columns)}")
    fewest, most = min(options.nodes), max(options.nodes)
    for command in COMMANDS:
        wall, cpu = (
            statistics.median(seconds[part] for seconds in taken[command, most])
            / statistics.median(seconds[part] for seconds in taken[command, fewest])
            for part in (0, 1)
        )
        print(
            f"{command}: {most / fewest:.1f} × the nodes, {wall:.2f} × the wall time, {cpu:.2f} × the CPU's"
        )


if __name__ == "__main__":
    main()
