"""Growing files on a node, read in polls: exact bytes from where the last poll ended, on any connection."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bootstrap.errors import Unreachable
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import TIMED_OUT, Remote

POLL_WAIT = 1.0
"""Seconds that one poll waits on the node for new output."""
POLL_TIMEOUT = 30.0
"""Seconds after which a poll counts as a broken connection."""
_CHUNK = 1 << 20


@dataclass
class Tail:
    """Read position in a file on the node: `offset` in whole lines, `seen` in bytes."""

    path: str
    offset: int = 0
    seen: int = 0

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


@dataclass(frozen=True)
class Poll:
    """Answer to one poll: the words of `state`, and size and new bytes of each file."""

    state: list[str]
    news: list[tuple[int, bytes]]

    def feed(self, tails: Sequence[Tail], on_line: Callable[[str], None], *, last: bool) -> bool:
        """Pass on the complete lines of all files; True when nothing is left on the node."""
        drained = [
            tail.feed(data, size, on_line, last=last)
            for tail, (size, data) in zip(tails, self.news, strict=True)
        ]
        return all(drained)


def poll(
    remote: Remote,
    tails: Sequence[Tail],
    state: str,
    *,
    user: str,
    functions: str = "",
    word: str = ":",
    ended: str = "false",
    of: str,
) -> Poll:
    """Wait a moment on the node for new output, in one call.

    Args:
        state: Shell, run as root, that prints a word.
        user: Name of the user that reads the files.
        functions: Shell functions that `word` and `ended` call, each line ended.
        word: Shell, run as `user`, that prints another word of the state.
        ended: Shell condition that is true when nothing has to be waited for, checked as `user`.
        of: What the files belong to, for messages.

    Raises:
        Unreachable: the connection broke, or the files cannot be read.
    """
    fresh, reads = "", ""
    for tail in tails:
        path = shlex.quote(tail.path)
        fresh += f'    [ "$(size {path})" -gt {tail.seen} ] && break\n'
        # The bytes not in `$( )`, whose content a shell copies one by one.
        reads += f'printf "%s " "$(size {path})"\n'
        reads += f"rest {path} {tail.offset + 1} | head -c {_CHUNK} | base64 -w0\necho\n"
    # Only of regular files that can be read: to open a pipe would wait for its writer, and what a link leads
    # to may be another's, of which nothing ever comes.
    functions += """size() {
    if [ -f "$1" ] && [ -r "$1" ]; then stat -Lc %s "$1" 2>/dev/null || echo 0; else echo 0; fi
}
rest() { if [ -f "$1" ]; then tail -c "+$2" "$1" 2>/dev/null; fi; }
"""
    wait = f"""{functions}n=0
while ! {ended} && [ $n -lt {round(POLL_WAIT * 10)} ]; do
{fresh}    n=$((n + 1)); sleep 0.1
done
"""
    # State first: whatever was written before the end is then read below.
    read = f'{functions}echo "$({word})"\n{reads}'
    result = remote.run(
        f"""{AS_USER}as_user {shlex.quote(user)} sh -c {shlex.quote(wait)} || exit
echo "$(
{state}
)"
as_user {shlex.quote(user)} sh -c {shlex.quote(read)}
""",
        check=False,
        timeout=POLL_TIMEOUT,
    )
    if result.exit_code == TIMED_OUT or not result.ok:
        raise Unreachable(
            f"{remote.node.name}: {of}",
            f"reading its log failed ({result.tail or 'no answer'})",
            "Run `fab doctor`.",
        )
    first, second, *lines = result.stdout.splitlines()
    parts = [line.partition(" ") for line in lines]
    news = [(int(size), base64.b64decode(data)) for size, _, data in parts]
    return Poll([first or "unknown", *second.split()], news)
