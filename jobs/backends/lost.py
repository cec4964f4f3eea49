"""Reason why a unit on the head was lost: its program or all of it was killed, or the head went down.

Told by the head itself: when it came up, what systemd wrote about the unit, and the status that is left.
"""

from __future__ import annotations

import shlex
import time
from typing import Final, NamedTuple

from bootstrap import paths
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.unit import Unit

TIMEOUT: Final = 60.0
_LINES: Final = 200
"""Lines of the journal of a unit to look through."""

# A machine is up since its first process began: in a container the kernel has been up for longer.
_ASK: Final = """
hz=$(getconf CLK_TCK)
after=$(sed 's/.*) //' /proc/1/stat | awk -v hz="$hz" '{ print int($20 / hz) }')
echo "up $(($(awk '$1 == "btime" { print $2 }' /proc/stat) + after))"
echo "began $(stat -c %Y SCRIPT 2>/dev/null || echo 0)"
echo "status $(as_user USER sh -c 'head -c 8 STATUS 2>/dev/null' | tr -dc 0-9)"
said=$(journalctl -o cat --no-pager -n LINES -u UNIT.service 2>/dev/null)
case $said in
*OOM\\ killer*) echo "result memory" ;;
*"result 'signal'"* | *code=killed*) echo "result signal" ;;
esac
"""


class Seen(NamedTuple):
    """State of the head after a job was lost; times are the head's, in seconds since the epoch."""

    up: float
    """When the head came up."""
    began: float
    """When the unit's script was written, as it was started; 0 without one."""
    status: str = ""
    """Exit status of the unit's script; empty where the unit was killed with it."""
    result: str = ""
    """`memory` or `signal`, by systemd's journal; empty where it does not tell."""


def why(unit: Unit, driver: str) -> str:
    """Return why a unit was lost, as the second part of an error; `driver` is the program in it.

    Raises:
        CommandFailed: the head cannot tell.
        Unreachable: the head does not answer.
    """
    script = _ASK.replace("SCRIPT", shlex.quote(f"{unit.folder}/run.sh"))
    script = script.replace("STATUS", f"{unit.folder}/status").replace("USER", paths.JOB_USER)
    script = script.replace("LINES", str(_LINES)).replace("UNIT", unit.name)
    head = unit.remote
    return words(parse(head.run(AS_USER + script, timeout=TIMEOUT).stdout), head.node.name, driver)


def parse(text: str) -> Seen:
    """Read what the head has answered."""
    said = dict(line.split(maxsplit=1) for line in text.splitlines() if len(line.split()) == 2)  # noqa: PLR2004
    return Seen(
        float(said.get("up", 0)), float(said.get("began", 0)), said.get("status", ""), said.get("result", "")
    )


def words(seen: Seen, head: str, driver: str) -> str:
    """Return the reason in words. Pure."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seen.up))
    # What writes the status ends with the machine.
    if not seen.status and seen.began and seen.up > seen.began:
        return f"{head} went down while it ran, and is up again since {since}"
    if seen.result == "memory":
        return f"{driver} was killed because {head} ran out of memory"
    if seen.status:
        return f"{driver} was killed (status {seen.status}), and {head} stayed up"
    return f"{driver} was killed with all of its unit, and {head} stayed up (since {since})"
