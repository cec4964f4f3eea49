"""Long scripts on a node as transient systemd units, which survive a dropped SSH connection.

The unit's folder holds `run.sh` (the script), `log` (both its streams) and `status` (its exit code, written
when it has ended). A unit that is not active and left no status was killed, or its node went down.

The folder and its files are root's, whoever the script runs as: root writes them, and in a folder of another
user a link would lead it elsewhere. They are read as that user, so a folder that is the user's own, as those
of earlier versions are, discloses nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.engine.script import LOCK_BUSY, take_lock
from bootstrap.errors import CommandFailed, Unreachable
from bootstrap.ssh import restarts
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.reconnect import Recovery
from bootstrap.ssh.remote import Remote
from bootstrap.ssh.tail import POLL_TIMEOUT, Poll, Tail, poll

LOST = restarts.LOST
"""Result of `follow` for a unit that was killed or lost: it never ended by itself."""
STOP_GRACE = 5
"""Seconds between SIGTERM and SIGKILL."""
START_WAIT = 40
"""Seconds to wait for another process that starts the same unit."""
_LINES = "CAFFE_SPARK_UNIT_"
_ACTIVE = {"active", "activating", "deactivating", "reloading"}


@dataclass(frozen=True)
class UnitState:
    """State of a unit: running or not, and its exit code (None: it has not ended, or was lost)."""

    running: bool
    exit_code: int | None


class Unit:
    """A script as the transient unit `name` on a node, run as `user`, with its files in `folder`.

    The folder's parents must be writable for root only. `scratch` is a folder that goes when the script has
    ended, unless the whole unit is killed. With `again`, the name of a variable
    that tells it how often, a script that is lost begins again: see `restarts`.
    """

    def __init__(
        self,
        remote: Remote,
        name: str,
        folder: str,
        *,
        user: str = "root",
        scratch: str = "",
        again: str = "",
    ) -> None:
        self._remote, self.name, self.folder = remote, name, folder.rstrip("/")
        self._user, self._scratch, self._again = user, scratch, again

    @property
    def remote(self) -> Remote:
        """The connection in use: `follow` may have made another one."""
        return self._remote

    @property
    def log(self) -> str:
        """Path of the log on the node."""
        return f"{self.folder}/log"

    @property
    def _status_file(self) -> str:
        return shlex.quote(f"{self.folder}/status")

    @property
    def _status(self) -> str:
        """Shell function `status` that prints the exit code; nothing for other text, which tells nothing."""
        return (
            f"status() {{ code=$([ ! -f {self._status_file} ] || head -c 8 {self._status_file} 2>/dev/null)\n"
            "case $code in '' | *[!0-9]* | ????*) ;; *) echo \"$code\" ;; esac; }\n"
        )

    def start(self, script: str) -> None:
        """Start the script, unless the unit runs already.

        Raises:
            CommandFailed: systemd refused to start it, or its folder is another user's.
            Unreachable: the connection broke; the unit may have been started.
        """
        if self.state().running:
            return
        name, folder, end = shlex.quote(self.name), shlex.quote(self.folder), _LINES + token()
        lock = take_lock(
            f"{paths.RUN}/unit-{self.name}.lock",
            waiting=f"waiting for another process that starts {self.name}",
            busy=f"another process has been starting {self.name} for {START_WAIT} s",
            wait=START_WAIT,
        )
        # In braces: of a script that arrives in part nothing is run.
        started = f"""{{
set -e
umask 022
{lock}
mkdir -p {folder}
{self._required_owner}
cd {folder}
tries=0
while systemctl is-active --quiet {name}; do
    [ -e status ] || exit 0
    tries=$((tries + 1)); [ $tries -lt 100 ] || {{ echo "the last run of {name} does not end" >&2; exit 1; }}
    sleep 0.1
done
cat >run.sh.new <<'{end}'
{script}
{end}
mv -f run.sh.new run.sh
rm -f status log
: >log
{self._prefix}
systemctl reset-failed {name} 2>/dev/null || true
{self._launch}
}}
"""
        result = self._remote.run(started, check=False, timeout=60)
        if not result.ok:
            busy = result.exit_code == LOCK_BUSY
            raise CommandFailed(
                f"{self._remote.node.name}: unit {self.name}",
                f"it does not start: {result.tail or f'status {result.exit_code}'}",
                "Rerun the command." if busy else "Run `fab doctor`.",
                exit_code=result.exit_code,
                output=result.tail,
            )

    @property
    def _launch(self) -> str:
        """Shell that has systemd run the script."""
        clear = f"$as rm -rf {shlex.quote(self._scratch)}" if self._scratch else ""
        if self._again:
            launch = restarts.launch(
                self.name, self.folder, variable=self._again, clear=clear, grace=STOP_GRACE
            )
            return f"( {launch} ) 9>&-"
        # Root's shell writes the status, so a killed unit leaves none, and the script cannot.
        # Without the folder it runs nothing: the words before the script make it the user's.
        before = shlex.quote(f"cd {shlex.quote(self.folder)} || exit; as='")
        run = "'; $as sh ./run.sh >log 2>&1 </dev/null; code=$?; "
        clear = f"{clear}; " if clear else ""
        after = shlex.quote(f"{run}{clear}echo $code >status.new && mv status.new status")
        return f"""\
systemd-run --quiet --collect --unit={shlex.quote(self.name)} --property=KillMode=control-group \\
    --property=TimeoutStopSec={STOP_GRACE} --property=OOMPolicy=continue \\
    /bin/sh -c {before}"$prefix"{after} 9>&- </dev/null"""

    @property
    def _required_owner(self) -> str:
        """Shell that refuses a folder in which another user can plant links."""
        return (
            f"[ ! -L {shlex.quote(self.folder)} ] && [ -O {shlex.quote(self.folder)} ] || {{ "
            f"echo {shlex.quote(self.folder)}' is not a folder of root' >&2; exit 1; }}"
        )

    @property
    def _prefix(self) -> str:
        """Shell that gives the log to the user, and sets `prefix` to the words that run a command as it."""
        if self._user == "root":
            return "prefix="
        user = shlex.quote(self._user)
        return f"""\
{AS_USER}chown {user} log
home=$(getent passwd {user} | cut -d: -f6)
prefix=$(becoming {user})
prefix="$prefix env HOME=${{home:-/}} USER={user} LOGNAME={user}"
"""

    def mark(self, code: int) -> None:
        """Set the exit code that followers get, unless the unit has ended.

        Raises:
            CommandFailed: there is no such unit's folder.
            Unreachable: the connection broke.
        """
        status = self._status_file
        write = f"[ -e {status} ] || echo {code} >{status}"
        # In a folder of the user, as earlier versions made it, root writes nothing.
        self._remote.run(
            f"umask 022\n{AS_USER}if ! ( {self._required_owner} ) 2>/dev/null\n"
            f"then as_user {shlex.quote(self._user)} sh -c {shlex.quote(write)}\nelse {write}\nfi\n"
        )

    def state(self) -> UnitState:
        """Read the unit's state in one round trip.

        Raises:
            Unreachable: the connection broke.
        """
        out = self._remote.run(
            f'{AS_USER}echo "$({restarts.state(self.name)})"\n'
            f"as_user {shlex.quote(self._user)} sh -c {shlex.quote(f'{self._status}status')}\n",
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
            restarts.state(self.name),
            user=self._user,
            functions=self._status,
            word="status",
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
            f"systemctl stop {name} 2>/dev/null || true\n{restarts.forget(self.name)}\n"
            f"! systemctl is-active --quiet {name}\n",
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
