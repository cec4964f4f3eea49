"""Building blocks of operations in POSIX shell; every script runs with `set -eu`."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import NamedTuple

quote = shlex.quote

BAD_SUM = 3
"""Exit status of an operation when a sha256 differs."""
SUM = re.compile(r"[0-9a-f]{64}")
"""A sha256 as `sha256sum` prints it."""
SUMMARY = 110
"""Characters."""
_PLAIN = bytes([*range(0x20, 0x7F), 0x0A, 0x09])


class Scripts(NamedTuple):
    """Scripts that an operation compiles to; `bootstrap.engine.command.Command` defines their contract."""

    guard: str
    run: str


def comment(text: str) -> str:
    """Return the first line of a `run` script, which summarises it for people."""
    line = " ".join(text.split())
    return "# " + line.encode("ascii", "replace").decode()


def summary(run: str) -> str:
    """Return the summary that `comment` put on top of a script, else the script's first line."""
    first = next((line.strip() for line in run.splitlines() if line.strip()), "").removeprefix("# ")
    return first if len(first) <= SUMMARY else first[: SUMMARY - 1] + "…"


def print_exactly(content: str) -> str:
    """Return a command that prints `content`, byte for byte.

    `printf` is part of the shell, so the content is in no process's argument list; and text stays legible,
    so that secrets in it can be masked.
    """
    data = content.encode()
    if not data.translate(None, delete=_PLAIN):
        return f"printf '%s' {quote(content)}"
    return f"printf '%b' {quote(escaped(content))}"


def escaped(content: str) -> str:
    """Return `content` in ASCII, for the format %b of `printf`."""
    # A digit after the escape cannot be taken for a part of it: %b reads at most three after the zero.
    return "".join(
        "\\\\" if byte == ord("\\") else chr(byte) if byte in _PLAIN else f"\\0{byte:03o}"
        for byte in content.encode()
    )


def sha256(content: str) -> str:
    """Return the sha256 of a file with this content."""
    return hashlib.sha256(content.encode()).hexdigest()


def has_content(path: str, content: str) -> str:
    """Return a test that `path` is a regular file with exactly this content."""
    target = quote(path)
    # One test, no list: `set -e` looks only at the last part of `a && b`.
    return f'[ "$([ -L {target} ] || sha256sum <{target})" = "{sha256(content)}  -" ]'


def has_access(path: str, mode: str, owner: str, group: str | None) -> str:
    """Return a test that `path` has this mode, owner and group (None: the owner's login group)."""
    if group is None and owner == "root":
        group = "root"  # on every distribution: nothing has to be looked up
    plain = f"{int(mode, 8):o} {owner} {group or ''}"
    wanted = quote(plain) if group is not None else f'{quote(plain)}"$(id -gn {quote(owner)})"'
    return f'[ "$(stat -c "%a %U %G" {quote(path)})" = {wanted} ]'


def ownership(owner: str, group: str | None) -> str:
    """Return the argument of `chown` for this owner and group (None: the owner's login group)."""
    return quote(f"{owner}:{group or ''}")


def write_file(
    path: str, content: str, *, mode: str = "0644", owner: str = "root", group: str | None = None
) -> str:
    """Return commands that write a file under another name, then rename it: no reader sees half a file."""
    target = quote(path)
    return "\n".join(
        [
            f'mkdir -p "$(dirname {target})"',
            f"aside=$(mktemp {quote(path + '.XXXXXX')})",
            f'{print_exactly(content)} >"$aside"',
            f'chown {ownership(owner, group)} "$aside"',
            f'chmod {int(mode, 8):o} "$aside"',
            # A file that is a mount of its own (/etc/hosts in a container) cannot be renamed over.
            f'if ! mv -fT "$aside" {target} 2>/dev/null; then',
            f'  cp --preserve=mode,ownership "$aside" {target}',
            '  rm -f "$aside"',
            "fi",
        ]
    )


def replace_folder(new: str, path: str) -> str:
    """Return commands that replace the folder `path` by `new`; the old one is removed afterwards."""
    old = path + ".old"
    return "\n".join(
        [
            f"rm -rf {quote(old)}",
            f"if [ -e {quote(path)} ]; then mv -T {quote(path)} {quote(old)}; fi",
            f"mv -T {quote(new)} {quote(path)}",
            f"rm -rf {quote(old)}",
        ]
    )


def bounded(script: str, seconds: float, *, tag: str) -> str:
    """Return a command that runs `script` in a shell of its own for at most `seconds`; status 124: timed out.

    `tag` has to be a word that is no line of the script. The script comes on the shell's standard input and
    is read to its end before it starts, so that no command in it can consume the rest.
    """
    return f"timeout -k 2 {seconds:g} sh -eus <<'{tag}'\n{{\n{script}\n}} </dev/null\n{tag}"
