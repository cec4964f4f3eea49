"""A guarded command as shell text, shared by execution and rendering."""

from __future__ import annotations

import posixpath

from bootstrap import paths
from bootstrap.engine.command import Command

HELD = "@caffe-spark@ held"
CHANGED = "@caffe-spark@ changed"
"""Last line of a step's output; without one of the two the step failed."""
NOT_REACHED = 76
"""Exit status when `run` succeeded and the guard still does not hold."""
KILLED = 137
TERMINATED = 143
RUN = paths.RUN
"""Folder on the node: the running steps, their process ids, the lock that a script action takes alone and
steps share, and one of each role, which excludes a second run of it."""
LOCK_WAIT = 900
LOCK_BUSY = 75
"""Exit status when another process kept a lock for LOCK_WAIT seconds."""
KILL_GRACE = 10
"""Seconds between SIGTERM, when a step has timed out, and SIGKILL."""

ENVIRONMENT = """\
umask 022
# Neither the operator's locale nor a bare environment, such as cloud-init's, decides what steps do.
export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""

_STEP = "CAFFE_SPARK_STEP"


def take_lock(file: str, *, waiting: str, busy: str, wait: int = LOCK_WAIT) -> str:
    """Return shell that takes a lock of a node, on descriptor 9; it ends with the process that holds it.

    `waiting` is printed where another process has it; `busy` where that still has it after `wait` seconds,
    which ends the shell with LOCK_BUSY.
    """
    return f"""\
mkdir -p -m 0700 {posixpath.dirname(file)}
exec 9>{file}
flock -n 9 || {{
  echo '{waiting}'
  flock -w {wait} 9 || {{
    echo '{busy}' >&2
    exit {LOCK_BUSY}
  }}
}}"""


def functions(command: Command, suffix: str = "") -> str:
    """Return `guard` and `run` as shell functions, to be called as `( set -eu; guard )`.

    Never call them inside `if`, `&&` or `||`: there the shell ignores `set -e`, even in a subshell.
    """
    return f"guard{suffix}() {{\n{command.guard}\n}}\nrun{suffix}() {{\n{command.run}\n}}"


def step(command: Command, token: str) -> str:
    """Return a script for `Remote.run` that applies one command and prints HELD or CHANGED.

    A step that is started while one of its role runs on the node (of a run that lost its connection, or of a
    second operator), or a script action, waits for it; roles that do not require each other run at the same
    time. `token`, unique for each start, identifies the step for `kill`.
    """
    lane = f"{RUN}/lock-{command.role}"
    body = f"""\
echo "$PPID" >{RUN}/{token}.step
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
trap 'rm -f {RUN}/{token}.sh {RUN}/{token}.lock' EXIT
(umask 077; cat >{RUN}/{token}.sh) <<'{_STEP}'
{body}{_STEP}
flock -n -s {RUN}/lock flock -n {lane} true || echo 'another run is busy on this node; waiting for it'
# -o: what the step leaves running, such as a daemon, does not keep the locks.
setsid flock -o -s -E {LOCK_BUSY} -w {LOCK_WAIT} {RUN}/lock flock -o -E {LOCK_BUSY} -w {LOCK_WAIT} {lane} \\
  timeout -k {KILL_GRACE} {command.timeout:g} sh {RUN}/{token}.sh </dev/null &
echo $! >{RUN}/{token}.lock
wait $!
code=$?
# Only `kill` ends flock by a signal; it still wants to know what to end after that.
if [ $code -ne {TERMINATED} ]; then rm -f {RUN}/{token}.step; fi
exit $code
"""


def kill(token: str) -> str:
    """Return a script that ends the step with this token, whether it runs or waits for the lock."""
    return f"""\
if [ -s {RUN}/{token}.lock ]; then
  # First what would start it, a group; then what runs: `timeout`, which hands the signal on to its own group.
  if [ ! -s {RUN}/{token}.step ]; then
    kill -TERM "-$(cat {RUN}/{token}.lock)" 2>/dev/null
    sleep 0.2
  fi
  if [ -s {RUN}/{token}.step ]; then kill -TERM "$(cat {RUN}/{token}.step)" 2>/dev/null; fi
  rm -f {RUN}/{token}.step
fi
exit 0
"""
