"""`fab doctor`: checks of every node in one round trip each, with the command to type for each fault."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from bootstrap import leftovers, paths, versions
from bootstrap.cluster import OPTIONAL_ROLES, Blob, Cluster, Hdfs, Node, Standalone, Yarn
from bootstrap.engine.command import Check
from bootstrap.engine.operations.shell import bounded, quote
from bootstrap.engine.plan import compile_checks, order
from bootstrap.engine.role import ROLES_DIR, Role, load_role
from bootstrap.engine.script import ENVIRONMENT
from bootstrap.errors import CaffeSparkError
from bootstrap.findings import Finding, print_findings
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import Connect

MIN_DISK_MB = 2048
"""A job's snapshots and executors' spills need this much."""
DISKS = (
    "/",
    "/var/lib",
    "/var/lib/spark/local",
    "/var/lib/spark/work",
    "/var/lib/yarn/local",
    "/mnt",
    "/mnt/resource",
)
"""Folders that jobs and builds write to, on our nodes and on HDInsight's; the fullest counts."""
MIN_MEMORY_MB = 256
MAX_OFFSET = 5.0
"""Seconds; beyond it TLS, apt and log files of several nodes start to disagree."""
CHECK_TIMEOUT = 90
DATANODE_PORT = 9866
SPARK_WORKER_UI = 8081
NODE_MANAGER_HTTP = 8042
BLOB_PORT = 80

_LINE = re.compile(r"@check (\d+) (\d+) ?(.*)")


def diagnose(
    cluster: Cluster,
    console: Console,
    *,
    given: Mapping[str, Any] | None = None,
    connect: Connect = ssh.connect,
    folder: Path = ROLES_DIR,
    also: Sequence[Finding] = (),
) -> list[Finding]:
    """Check all nodes in parallel and print the results; each failure with the command to type.

    `also` are findings about the cluster from elsewhere.

    Raises:
        ConfigError: a role's check cannot be compiled.
    """
    roles = roles_of(cluster, folder)
    checks = {node.name: checks_for(cluster, node, given or {}, roles) for node in cluster.nodes}
    with console.status("Checking every node …"):
        found = on_all(cluster.nodes, lambda node: _examine(cluster, node, checks[node.name], connect))
    findings = [*(finding for of_node in found for finding in of_node), *also]
    print_findings(findings, cluster, console)
    return findings


def roles_of(cluster: Cluster, folder: Path = ROLES_DIR) -> list[Role]:
    """Return the roles whose checks concern the cluster, in order.

    Raises:
        ConfigError: a role cannot be read.
    """
    elsewhere = OPTIONAL_ROLES.difference(cluster.roles)
    names = [file.parent.name for file in sorted(folder.glob("*/role.yaml"))]
    return order([load_role(name, folder) for name in names if name not in elsewhere])


def checks_for(cluster: Cluster, node: Node, given: Mapping[str, Any], roles: Sequence[Role]) -> list[Check]:
    """Return the checks of a node: its resources and versions, its peers, storage, and its roles'. Pure.

    Raises:
        ConfigError: a role's check cannot be compiled.
    """
    checks = [*_resources(node), *versions.checks(), leftovers.check(), *_peers(cluster, node)]
    if node.name == cluster.head.name:
        checks.append(_storage(cluster))
    for role in roles:
        checks += compile_checks(role, cluster, node, given)
    return checks


def script(checks: Sequence[Check]) -> str:
    """Return a script that runs the checks in parallel and prints the clock, then a line for each."""
    lines = [ENVIRONMENT, 'echo "@clock $(date +%s.%N)"']
    for index, check in enumerate(checks):
        lines.append(
            f"(\nsaid=$({{ {bounded(check.run, CHECK_TIMEOUT, tag=f'CHECK_{index}')}\n}} 2>&1)\ncode=$?\n"
            'said=$(printf %s "$said" | grep . | tail -n 1 | cut -c1-300)\n'
            # One write below the size of a pipe's buffer: lines of several checks do not mix.
            f'printf "@check {index} %d %s\\n" $code "$said"\n) &'
        )
    return "\n".join([*lines, "wait", ""])


def parse(output: str, checks: Sequence[Check], node: str) -> list[Finding]:
    """Parse the output of `script`; a check without a line has failed."""
    answers = {int(m[1]): (int(m[2]), m[3]) for m in map(_LINE.fullmatch, output.split("\n")) if m}
    findings = []
    for index, check in enumerate(checks):
        code, said = answers.get(index, (1, "no answer"))
        if code == ssh.TIMED_OUT and not said:
            said = f"no answer within {CHECK_TIMEOUT} s"
        fix = check.fix.replace(_PLACE, said.partition(_ON)[2] or "/")
        findings.append(
            Finding(node, check.name, code == 0, said or ("" if code == 0 else f"status {code}"), fix)
        )
    return findings


def _examine(cluster: Cluster, node: Node, checks: Sequence[Check], connect: Connect) -> list[Finding]:
    offsets: list[float] = []

    def clock(line: str) -> None:
        if line.startswith("@clock "):
            offsets.append(float(line.split()[1]) - time.time())

    try:
        with connect(cluster, node) as remote:
            result = remote.run(script(checks), check=False, timeout=CHECK_TIMEOUT + 30, on_line=clock)
    except CaffeSparkError as error:
        return [Finding(node.name, "SSH", False, error.why, error.fix)]
    offset = offsets[0] if offsets else float("inf")
    return [
        Finding(node.name, "SSH", True, "", ""),
        Finding(
            node.name,
            "clock",
            abs(offset) <= MAX_OFFSET,
            f"{offset:+.1f} s",
            "Set the clock: `timedatectl set-ntp true` on the machine that runs the node.",
        ),
        *parse(result.stdout, checks, node.name),
    ]


_PLACE = "{place}"
"""In `fix`: the mount that the check names; `du -x` stays on one file system."""
_ON = " on "
_DISK = f"""\
set -- $(df -Pm {" ".join(DISKS)} 2>/dev/null | awk '
    NR > 1 && (place == "" || $4 < free) {{ free = $4; place = $6 }}
    END {{ print free, place }}')
on=; [ "$2" = / ] || on="{_ON}$2"
echo "$(($1 / 1024)).$(($1 % 1024 * 10 / 1024)) GB free$on"
[ "$1" -ge {MIN_DISK_MB} ]"""


def _resources(node: Node) -> list[Check]:
    return [
        Check(
            "",
            "disk",
            _DISK,
            f"Free {MIN_DISK_MB // 1024} GB there on {node.name}: "
            f"`sudo du -xh {_PLACE} | sort -h` names what is large.",
        ),
        Check(
            "",
            "memory",
            "free=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)\n"
            f'echo "$free MB free"\n[ "$free" -ge {MIN_MEMORY_MB} ]',
            f"End what takes {node.name}'s memory (`ps aux --sort=-rss | head`), or give the node more.",
        ),
    ]


def _peers(cluster: Cluster, node: Node) -> list[Check]:
    """Return one check per group of peers, head or workers, of the fixed ports that this node uses there."""
    head = [cluster.head] if node.name != cluster.head.name else []
    workers = [peer for peer in cluster.workers if peer.name != node.name]
    checks = []
    for of, peers in (("the head", head), ("the workers", workers)):
        uses = {peer.name: _ports(cluster, node, peer) for peer in peers}
        tries = "\n".join(
            f"try {quote(name)} {port} {quote(what)} &"
            for name, ports in uses.items()
            for port, what in ports.items()
        )
        if not tries:
            continue
        run = (
            "try() {\n"
            '  timeout 5 bash -c \'exec 3<>/dev/tcp/$0/$1\' "$1" "$2" 2>/dev/null || echo "$1: $2 ($3)"\n'
            f"}}\nclosed=$(\n{tries}\nwait)\n"
            'if [ -n "$closed" ]; then\n'
            '  echo "closed on $(printf %s "$closed" | sort -V | paste -s -d , | sed "s/,/, /g")"; exit 1\nfi'
        )
        fix = "Run `fab bootstrap`, which starts the services; else look for a firewall there."
        checks.append(Check("", f"ports of {of}", run, fix))
    return checks


def _ports(cluster: Cluster, node: Node, peer: Node) -> dict[int, str]:
    """Return the ports that `node` uses on `peer`; executors and ranks choose theirs at run time."""
    if peer.name == cluster.head.name:
        return _head_ports(cluster)
    ports = {DATANODE_PORT: "HDFS DataNode"} if cluster.hdfs else {}
    if node.name == cluster.head.name:
        ports |= _scheduler_ports(cluster)[1]
        if cluster.ssh.jump:
            ports[cluster.ssh.port] = "SSH"
    return ports


def _head_ports(cluster: Cluster) -> dict[int, str]:
    ports = {} if cluster.members.managed else {paths.DEPOT_PORT: "depot"}
    if isinstance(cluster.storage, Blob) and cluster.storage.server == cluster.head.address:
        ports[BLOB_PORT] = "blob server"
    ports |= _scheduler_ports(cluster)[0]
    if cluster.hdfs:
        ports |= _port(cluster.hdfs, "HDFS NameNode")
    return ports


def _scheduler_ports(cluster: Cluster) -> tuple[dict[int, str], dict[int, str]]:
    """Return the ports of the scheduler's daemons, of head and workers; none where the cloud runs them."""
    if cluster.members.managed:
        return {}, {}
    match cluster.scheduler:
        case Standalone(master=master):
            return _port(master, "Spark master"), {SPARK_WORKER_UI: "Spark worker"}
        case Yarn(resource_manager=manager):
            return _port(manager, "YARN ResourceManager"), {NODE_MANAGER_HTTP: "YARN NodeManager"}


def _port(uri: str, what: str) -> dict[int, str]:
    port = urlsplit(uri).port
    return {} if port is None else {port: what}


def _storage(cluster: Cluster) -> Check:
    url = quote(f"{cluster.shared_storage}/tmp/.doctor-")  # noqa: S108 - in HDFS
    run = f"""\
file={url}$(mktemp -u XXXXXXXXXX)
dfs() {{ runuser -u {paths.JOB_USER} -- {paths.HDFS} dfs "$@" 2>&1; }}
text="$(date) $file"
trap 'rm -f "$aside"' EXIT
aside=$(mktemp)
printf %s "$text" >"$aside"
chmod 0644 "$aside"
dfs -put -f "$aside" "$file" || exit 1
got=$(dfs -cat "$file") || {{ dfs -rm -skipTrash "$file" >/dev/null || true; echo "$got"; exit 1; }}
dfs -rm -skipTrash "$file" >/dev/null
[ "$got" = "$text" ] || {{ echo "wrote '$text', read '$got'"; exit 1; }}"""
    look = f"then `journalctl -u hdfs-namenode` on {cluster.head.name} if it fails again"
    if not isinstance(cluster.storage, Hdfs):
        look = "the line says whether the server, its name, the key or the right is missing"
    fix = f"Run `fab bootstrap`; {look}."
    return Check("", "shared storage: write, read, remove", run, fix)
