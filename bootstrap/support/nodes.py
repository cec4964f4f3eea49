"""Part of the nodes: state of the machine, journals of our units, and the log of a machine's first boot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from bootstrap.aside import token
from bootstrap.cluster import Cluster, Node
from bootstrap.console import TerminalConsole
from bootstrap.doctor import diagnose
from bootstrap.engine.script import ENVIRONMENT
from bootstrap.errors import CaffeSparkError
from bootstrap.findings import Finding
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import Connect
from bootstrap.support.bundle import Bundle

TIMEOUT: Final = 90.0
"""Seconds for all that one node tells."""
JOURNAL_LINES: Final = 800
"""Last lines of each unit's journal."""
JOURNAL_BYTES: Final = 256 << 10
BOOT_LOG: Final = "/var/log/caffe-spark-boot.log"
"""Log of `bootstrap.join.on_node.boot`."""
UNITS: Final = (
    "caffe-spark-*",
    "spark-*",
    "hdfs-*",
    "yarn-*",
    "azurite-*",
    "apt-cacher-ng*",
)
"""Patterns of the units of our roles, and of jobs and builds."""

_MACHINE: Final = r"""
uname -a; cat /etc/os-release 2>/dev/null; uptime; free -m
df -hT 2>/dev/null | grep -v '^tmpfs\|^overlay.*/merged'
nproc; ip -brief address 2>/dev/null
if command -v nvidia-smi >/dev/null 2>&1; then nvidia-smi 2>&1; fi
echo 'failed units:'; systemctl --no-pager --plain --no-legend list-units --failed 2>&1
ls -l /opt/caffe /opt/spark /opt/hadoop 2>&1
ps -eo pid,user,etimes,rss,comm --sort=-rss 2>/dev/null | head -n 25"""
"""Command lines of processes are left out: those of others may hold passwords."""


def script(mark: str) -> str:
    """Return the script of a node; each part begins with a line of `mark` and the part's name."""
    names = " ".join(f"'{unit}'" for unit in UNITS)
    return f"""{ENVIRONMENT}
exec 2>&1
echo '{mark} machine'
{{ {_MACHINE}
}} | tail -c {JOURNAL_BYTES}
echo '{mark} kernel'
journalctl -k --no-pager -o short-iso -n 200 | tail -c {JOURNAL_BYTES}
for unit in $(systemctl --no-pager --plain --no-legend --all list-units {names} | awk '{{print $1}}'); do
    echo '{mark} '"unit-$unit"
    systemctl --no-pager --lines=0 status "$unit" | grep -v CGroup
    journalctl --no-pager -o short-iso -n {JOURNAL_LINES} -u "$unit" | tail -c {JOURNAL_BYTES}
done
if [ -r {BOOT_LOG} ]; then
    echo '{mark} boot.log'
    tail -c {JOURNAL_BYTES} {BOOT_LOG}
fi
"""


def parts_of(output: str, mark: str) -> dict[str, str]:
    """Return the texts of a node by the parts' names. Pure."""
    parts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in output.splitlines():
        if line.startswith(f"{mark} "):
            current = parts.setdefault(line.removeprefix(f"{mark} "), [])
        elif current is not None:
            current.append(line)
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in parts.items()}


def add_nodes(bundle: Bundle, cluster: Cluster, *, connect: Connect = ssh.connect) -> None:
    """Add what each node tells; a node that does not answer is named as missing."""
    told = on_all(cluster.nodes, lambda node: _told(cluster, node, connect))
    for node, one in zip(cluster.nodes, told, strict=True):
        if isinstance(one, str):
            bundle.lack(f"nodes/{node.name}", one)
            continue
        for name, text in one.items():
            bundle.add(f"nodes/{node.name}/{name.replace('/', '_')}.txt", text)


def add_findings(
    bundle: Bundle, cluster: Cluster, *, connect: Connect = ssh.connect, also: Sequence[Finding] = ()
) -> None:
    """Add what `fab doctor` finds."""
    page = io.StringIO()
    with bundle.part("doctor.txt"):
        diagnose(cluster, TerminalConsole(file=page), connect=connect, also=also)
    bundle.add("doctor.txt", page.getvalue())


def _told(cluster: Cluster, node: Node, connect: Connect) -> dict[str, str] | str:
    mark = f"@part-{token()}"
    try:
        with connect(cluster, node) as remote:
            result = remote.run(script(mark), check=False, timeout=TIMEOUT)
    except CaffeSparkError as error:
        return str(error)
    return parts_of(result.stdout, mark) or f"it told nothing: {result.tail or f'status {result.exit_code}'}"
