"""Long scripts on a node as transient systemd units, which survive a dropped SSH connection.

The unit's folder holds `run.sh` (the script), `log` (both its streams) and `status` (its exit code, written
when it has ended). A unit that is not active and left no status was killed, or its node went down.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from bootstrap.aside import token
from bootstrap.errors import CommandFailed, Unreachable
from bootstrap.ssh.reconnect import reconnect_within
from bootstrap.ssh.remote import TIMED_OUT, Remote

LOST = 137
"""Result of `follow` for a unit that was killed or lost: it never ended by itself."""
STOP_GRACE = 5
"""Seconds between SIGTERM and SIGKILL."""
POLL_WAIT = 1.0
"""Seconds that one poll waits on the node for new output."""
POLL_TIMEOUT = 30.0
"""Seconds after which a poll counts as a broken connection."""
_CHUNK = 256 * 1024
_ACTIVE = {"active", "activating", "deactivating", "reloading"}


@dataclass(frozen=True)
class UnitState:
    """State of a unit: running or not, and its exit code (None: it has not ended, or was lost)."""

    running: bool
    exit_code: int | None


@dataclass
class _Tail:
    """Read position in a file on the node: `offset` in whole lines, `seen` in bytes."""

    path: str
    offset: int = 0
    seen: int = 0
    rest: bytes = field(default=b"", repr=False)

    def feed(self, data: bytes, size: int, on_line: Callable[[str], None], *, last: bool) -> bool:
        """Pass on the complete lines of `data`; True when nothing is left on the node up to `size`."""
        everything = self.offset + len(data) >= size
        end = len(data) if last and everything else data.rfind(b"\n") + 1
        if end == 0 and len(data) >= _CHUNK:
            end = len(data)  # a line longer than a chunk is passed on in pieces
        # Only a line feed ends a line: JSON may hold U+2028 and its like as they are.
        for line in data[:end].removesuffix(b"\n").split(b"\n") if end else ():
            on_line(line.decode(errors="replace").removesuffix("\r"))
        self.offset += end
        self.seen = self.offset + len(data) - end
        return everything


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
        connection breaks, `reconnect` is called until it returns a new one (see `reconnect_within`), and
        reading goes on where it stopped.

        Returns:
            The script's exit code, or `LOST` for a unit that was killed or lost.

        Raises:
            Unreachable: the connection broke and could not be made again; the unit runs on.
        """
        tails = [_Tail(self.log)] + ([_Tail(extra_file)] if extra_file else [])
        while True:
            try:
                active, code, sizes, chunks = self._poll(tails)
            except Unreachable:
                if reconnect is None:
                    raise
                self._remote = reconnect_within(reconnect)
                continue
            ended = code is not None or not active
            drained = [
                tail.feed(chunk, size, on_line, last=ended)
                for tail, size, chunk in zip(tails, sizes, chunks, strict=True)
            ]
            if ended and all(drained):
                return LOST if code is None else code

    def _poll(self, tails: list[_Tail]) -> tuple[bool, int | None, list[int], list[bytes]]:
        """Make one remote call that waits a moment for new output; data is exact bytes (base64)."""
        news, reads = "", ""
        for tail in tails:
            path = shlex.quote(tail.path)
            news += f'    [ "$(size {path})" -gt {tail.seen} ] && break\n'
            reads += (
                f'echo "$(size {path}) $(tail -c +{tail.offset + 1} {path} 2>/dev/null'
                f' | head -c {_CHUNK} | base64 -w0)"\n'
            )
        name = shlex.quote(self.name)
        result = self._remote.run(
            f"""{self._status}size() {{ stat -Lc %s "$1" 2>/dev/null || echo 0; }}
n=0
while [ -z "$(status)" ] && [ $n -lt {round(POLL_WAIT * 10)} ]; do
{news}    n=$((n + 1)); sleep 0.1
done
# State first: whatever was written before the end is then read below.
active=$(systemctl is-active {name} || true)
echo "$active $(status)"
{reads}""",
            check=False,
            timeout=POLL_TIMEOUT,
        )
        if result.exit_code == TIMED_OUT or not result.ok:
            raise Unreachable(
                f"{self._remote.node.name}: unit {self.name}",
                f"reading its log failed ({result.tail or 'no answer'})",
                "Run `fab doctor`.",
            )
        head, *lines = result.stdout.splitlines()
        words = head.split()
        sizes = [int(line.split()[0]) for line in lines]
        chunks = [base64.b64decode(line.split(" ", 1)[1]) for line in lines]
        return words[0] in _ACTIVE, int(words[1]) if len(words) > 1 else None, sizes, chunks

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
