"""Leftovers of ended jobs on the nodes: found, removed and checked by the nodes' own program.

The program is `bootstrap/join/on_node/leftovers.py`. It is sent along, so that nodes of another version, and
those of HDInsight, which have no service for it, are served as well.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.engine.command import Check
from bootstrap.errors import CaffeSparkError
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import Connect

CHECK: Final = "leftovers of jobs"
TIMEOUT: Final = 300.0
REPORT_GRACE: Final = 300
"""Seconds after which `fab doctor` reports one: a node's own service has removed it by then."""
_PROGRAM: Final = Path(__file__).parent / "join" / "on_node" / "leftovers.py"


class Leftover(NamedTuple):
    """A file or folder that an ended job left on a node."""

    node: str
    path: str
    size: int
    what: str
    error: str = ""
    """Why it could not be removed; empty where it was, or was not to be."""


class Silent(NamedTuple):
    """A node that does not tell its leftovers, and why."""

    node: str
    why: str


def script(*words: str) -> str:
    """Return shell that runs the program as the jobs' user; it prints nothing where there is no such user."""
    return f"""{AS_USER}id -u {paths.JOB_USER} >/dev/null 2>&1 || exit 0
as_user {paths.JOB_USER} {paths.ANY_PYTHON} - {shlex.join(words)} <<'LEFTOVERS'
{_PROGRAM.read_text()}LEFTOVERS
"""


def on_nodes(
    cluster: Cluster, *, removing: bool, connect: Connect = ssh.connect
) -> tuple[list[Leftover], list[Silent]]:
    """Return the leftovers of all nodes, after their removal where that is asked for."""
    answers = on_all(cluster.nodes, lambda node: _on_node(cluster, node, removing, connect))
    found = [leftover for answer in answers if not isinstance(answer, Silent) for leftover in answer]
    return found, [answer for answer in answers if isinstance(answer, Silent)]


def check() -> Check:
    """Return the check of `fab doctor`."""
    run = script("report", "--grace", str(REPORT_GRACE))
    return Check("", CHECK, run, "Run `fab clean`, which removes what belongs to no running job.")


def parse(node: str, lines: Sequence[str]) -> list[Leftover]:
    """Read the program's answer."""
    found = []
    for line in lines:
        said = json.loads(line)
        found.append(Leftover(node, said["path"], said["bytes"], said["what"], said.get("error", "")))
    return found


def _on_node(cluster: Cluster, node: Node, removing: bool, connect: Connect) -> list[Leftover] | Silent:
    try:
        with connect(cluster, node) as remote:
            result = remote.run(script("remove" if removing else "list"), check=False, timeout=TIMEOUT)
        if not result.ok:
            return Silent(node.name, result.tail or f"status {result.exit_code}")
        return parse(node.name, result.stdout.splitlines())
    except CaffeSparkError as error:
        return Silent(node.name, error.why)
    except (ValueError, KeyError, TypeError) as error:
        return Silent(node.name, f"its answer cannot be read ({error})")
