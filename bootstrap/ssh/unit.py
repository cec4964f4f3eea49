"""Long scripts on a node as transient systemd units, which survive a dropped SSH connection.

The unit's folder holds `run.sh` (the script), `log` (both its streams) and `status` (its exit code, written
when it has ended). A unit that is not active and left no status was killed, or its node went down.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.aside import token
from bootstrap.errors import CommandFailed, Unreachable
from bootstrap.ssh.reconnect import Recovery
from bootstrap.ssh.remote import Remote
from bootstrap.ssh.tail import POLL_TIMEOUT, Poll, Tail, poll

LOST = 137
"""Result of `follow` for a unit that was killed or lost: it never ended by itself."""
STOP_GRACE = 5
"""Seconds between SIGTERM and SIGKILL."""
_ACTIVE = {"active", "activating", "deactivating", "reloading"}


@dataclass(frozen=True)
class UnitState:
    """State of a unit: running or not, and its exit code (None: it has not ended, or was lost)."""

    running: bool
    exit_code: int | None


class Unit:
    """A script as the transient unit `name` on a node, with its files in `folder`."""

    def __init__(self, remote: Remote, name: str, folder: str) -> None:
        self._remote, self.name, self.folder = remote, name, folder.rstrip("/")

    @property
    def remote(self) -> Remote:
        """The connection in use: `follow` may have made another one."""
        return self._remote

    @property
    def log(self) -> str:
        """Path of the log on the node."""
        return f"{self.folder}/log"

    @property
    def _status(self) -> str:
        """Shell function `status` that prints the exit code; nothing for other text, which tells nothing."""
        return (
            f"status() {{ code=$(head -c 8 {shlex.quote(self.folder + '/status')} 2>/dev/null)\n"
            "case $code in '' | *[!0-9]* | ????*) ;; *) echo \"$code\" ;; esac; }\n"
        )

    def start(self, script: str, *, user: str = "root") -> None:
        """Start the script as `user`, unless the unit runs already.

        Raises:
            CommandFailed: systemd refused to start it.
            Unreachable: the connection broke; the unit may have been started.
        """
        if self.state().running:
            return
        given = f"{self.folder}/given-{token()}.sh"
        self._remote.put(script.encode(), given, mode=0o644)
        name, folder = shlex.quote(self.name), shlex.quote(self.folder)
        # The shell that systemd starts writes the status, so a killed unit leaves none.
        wrapper = "cd {0} && sh ./run.sh >log 2>&1 </dev/null; echo $? >status.new && mv status.new status"
        wrapper = wrapper.replace("{0}", folder)
        self._remote.run(
            f"""set -e
given={shlex.quote(given)}; trap 'rm -f "$given"' EXIT
cd {folder}
exec 9>lock; flock 9
tries=0
while systemctl is-active --quiet {name}; do
    [ -e status ] || exit 0
    tries=$((tries + 1)); [ $tries -lt 100 ] || {{ echo "the last run of {name} does not end" >&2; exit 1; }}
    sleep 0.1
done
mv -f "$given" run.sh
rm -f status; : >log
chown {user} . log
systemctl reset-failed {name} 2>/dev/null || true
systemd-run --quiet --collect --unit={name} --uid={user} --property=KillMode=control-group \\
    --property=TimeoutStopSec={STOP_GRACE} --property=OOMPolicy=continue \\
    /bin/sh -c {shlex.quote(wrapper)} 9>&- </dev/null
""",
            timeout=60,
        )

    def state(self) -> UnitState:
        """Read the unit's state in one round trip.

        Raises:
            Unreachable: the connection broke.
        """
        out = self._remote.run(
            f"{self._status}systemctl is-active {shlex.quote(self.name)} || true\nstatus\n",
            check=False,
            timeout=POLL_TIMEOUT,
        ).stdout.split()
        code = int(out[1]) if len(out) > 1 else None
        return UnitState(bool(out) and out[0] in _ACTIVE and code is None, code)

    def follow(
        self,
        on_line: Callable[[str], None],
        *,
        extra_file: str | None = None,
        reconnect: Callable[[], Remote] | None = None,
    ) -> int:
        """Pass each line of the log, from its start, to `on_line` until the unit has ended.

        Lines of `extra_file` (a path on the node) are passed on too, in their own order. When the
        connection breaks, `reconnect` is called until it returns a new one (see `Recovery`), and reading
        goes on where it stopped.

        Returns:
            The script's exit code, or `LOST` for a unit that was killed or lost.

        Raises:
            Unreachable: the connection broke and could not be made again; the unit runs on.
        """
        tails = [Tail(self.log)] + ([Tail(extra_file)] if extra_file else [])
        recovery = None if reconnect is None else Recovery(reconnect)
        while True:
            try:
                answer = self._poll(tails)
            except Unreachable as error:
                if recovery is None:
                    raise
                self._remote = recovery.reconnect(error)
                continue
            if recovery is not None:
                recovery.answered()
            active = answer.state[0] in _ACTIVE
            code = int(answer.state[1]) if len(answer.state) > 1 else None
            ended = code is not None or not active
            if answer.feed(tails, on_line, last=ended) and ended:
                return LOST if code is None else code

    def _poll(self, tails: list[Tail]) -> Poll:
        return poll(
            self._remote,
            tails,
            f'active=$(systemctl is-active {shlex.quote(self.name)} || true)\necho "$active $(status)"',
            functions=self._status,
            ended='[ -n "$(status)" ]',
            of=f"unit {self.name}",
        )

    def stop(self) -> None:
        """Kill the unit with all its processes; return when none is left.

        Raises:
            CommandFailed: processes of it are still there.
        """
        name = shlex.quote(self.name)
        result = self._remote.run(
            f"systemctl stop {name} 2>/dev/null || true\n! systemctl is-active --quiet {name}\n",
            check=False,
            timeout=STOP_GRACE + POLL_TIMEOUT,
        )
        if not result.ok:
            raise CommandFailed(
                f"{self._remote.node.name}: unit {self.name}",
                f"it does not stop: {result.tail or 'systemd still lists it'}",
                f"Run `sudo systemctl kill -s KILL {self.name}` on that node.",
                exit_code=result.exit_code,
                output=result.tail,
            )
