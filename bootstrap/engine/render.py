"""Rendering of guarded commands to one POSIX shell script, for user data and script actions."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.engine import script
from bootstrap.engine.command import Command
from bootstrap.engine.operations.shell import quote
from bootstrap.errors import ConfigError

RETRY_INTERVAL = 5
"""Seconds between two attempts of a step that needs another node's."""
NEEDS_TIMEOUT = 1800
"""Least seconds of attempts of such a step: the other node is provisioned from nothing as well."""

_HEAD = f"""\
#!/bin/sh
# Files are printed as they are, dollar signs and all.
# shellcheck disable=SC2016
# Brings this machine to what its roles say; can be run again, and does then what is left to do.
# Run it as root. Exit status: 0, or that of the first step that failed, which the last line names.
set -eu
{script.ENVIRONMENT}if [ "$(id -u)" -ne 0 ]; then
  echo 'run this as root' >&2
  exit 1
fi
"""

# Each part of a step runs in a subshell on a line of its own: elsewhere the shell ignores `set -e`.
_STEP = """\
# step NUMBER TITLE PATIENCE: guard, run, guard again; tried for PATIENCE seconds.
step() {
  begun=$(date +%s)
  echo "step $1/$total $2"
  set +e
  ( set -eu; "guard_$1" ) </dev/null >/dev/null 2>&1
  state=$?
  outcome=ok
  while [ "$state" -ne 0 ]; do
    outcome=changed
    ( set -eu; "run_$1" ) </dev/null
    state=$?
    if [ "$state" -eq 0 ]; then
      ( set -eu; "guard_$1" ) </dev/null
      state=$?
      if [ "$state" -eq 0 ]; then break; fi
      echo 'the step ran, and the machine is still not as the step wants it' >&2
      state=NOT_REACHED
    fi
    if [ $(($(date +%s) - begun)) -ge "$3" ]; then
      echo "step $1/$total $2: failed with status $state after $(($(date +%s) - begun)) s" >&2
      exit "$state"
    fi
    echo "step $1/$total $2: not yet, trying again in RETRY s"
    sleep RETRY
  done
  set -e
  echo "step $1/$total $2: $outcome ($(($(date +%s) - begun)) s)"
}
""".replace("NOT_REACHED", str(script.NOT_REACHED)).replace("RETRY", str(RETRY_INTERVAL))


def render(commands: Sequence[Command]) -> str:
    """Return a script with the same result on a machine as `bootstrap.engine.execute.apply` on its node.

    It contains the secrets that files contain: treat it as one. A step that needs another node's step is
    retried until it succeeds, since a script cannot see that node's progress; the others have one attempt.
    Time-outs of single steps are left to the caller.

    Raises:
        ConfigError: a step's script is not ASCII, which script actions refuse.
    """
    parts = [_HEAD, f"total={len(commands)}\n", _STEP]
    for number, command in enumerate(commands, start=1):
        _require_ascii(command)
        title = f"{command.role}: {command.name}".encode("ascii", "replace").decode()
        patience = 0 if command.needs is None else max(NEEDS_TIMEOUT, int(command.timeout))
        parts.append(f"{script.functions(command, f'_{number}')}\nstep {number} {quote(title)} {patience}\n")
    return "\n".join([*parts, "echo 'all steps done'\n"])


def _require_ascii(command: Command) -> None:
    for line in f"{command.guard}\n{command.run}".splitlines():
        if not line.isascii() or "\r" in line:
            raise ConfigError(
                f"role {command.role!r}, step {command.name!r}",
                f"its script is not plain ASCII with LF: {command.masked(line.strip())[:60]!r}",
                "Move such text into a template: files may hold any character.",
            )
