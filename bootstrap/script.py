"""One guarded command as shell text: what execution sends and what rendering prints agree here."""

from __future__ import annotations

from bootstrap.command import Command

HELD = "@caffe-spark@ held"
CHANGED = "@caffe-spark@ changed"
"""Last line of a step's output; anything else means that it did not end well."""
NOT_REACHED = 76
"""Exit status when `run` succeeded and the guard still does not hold."""
RUN = "/run/caffe-spark"
"""On the node: the step that runs now, its process id, and the lock that keeps a second one out."""
LOCK_WAIT = 900
LOCK_BUSY = 75
"""Exit status when another run kept the lock for LOCK_WAIT seconds."""
KILL_GRACE = 10
"""Seconds between a step's TERM, when its time is over, and its KILL."""

ENVIRONMENT = """\
umask 022
# Neither the operator's locale nor a bare environment, such as cloud-init's, decides what steps do.
export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""

_STEP = "CAFFE_SPARK_STEP"


def functions(command: Command, suffix: str = "") -> str:
    """`guard` and `run` as shell functions, to be called as `( set -eu; guard )`.

    Never call them inside `if`, `&&` or `||`: there the shell ignores `set -e`, even in a subshell.
    """
    return f"guard{suffix}() {{\n{command.guard}\n}}\nrun{suffix}() {{\n{command.run}\n}}"


def step(command: Command) -> str:
    """A script that brings one command's state about and says what it found, for `Remote.run`.

    Whoever starts a step while another one runs on the node (a run that lost its connection, a second
    operator) waits for it.
    """
    body = f"""\
echo "$PPID" >{RUN}/pid
{functions(command)}
( set -eu; guard ) >/dev/null 2>&1
if [ $? -eq 0 ]; then echo '{HELD}'; exit 0; fi
( set -eu; run )
code=$?
if [ $code -ne 0 ]; then exit $code; fi
( set -eu; guard )
if [ $? -ne 0 ]; then
  echo 'the step ran, and the node is still not as the step wants it' >&2
  exit {NOT_REACHED}
fi
echo '{CHANGED}'
"""
    return f"""\
{ENVIRONMENT}mkdir -p -m 0700 {RUN}
script=$(mktemp {RUN}/step.XXXXXX)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'{_STEP}'
{body}{_STEP}
flock -n {RUN}/lock true || echo 'another run is busy on this node; waiting for it'
flock -o -E {LOCK_BUSY} -w {LOCK_WAIT} {RUN}/lock \\
  timeout -k {KILL_GRACE} {command.timeout:g} sh "$script" </dev/null
"""


KILL = f"""\
# The step's parent is `timeout`, which hands the signal on to all of its group.
if [ -s {RUN}/pid ]; then
  pid=$(cat {RUN}/pid)
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = timeout ]; then kill -TERM "$pid"; fi
fi
"""
"""Ends the step that runs on the node."""
