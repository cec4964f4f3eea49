"""The far end of a transfer: a node's file system, or shared storage through the head.

On a node paths are read and written with root's rights, as the operator has them there; in shared storage
with the job user's, as jobs have them.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.errors import CommandFailed, ConfigError
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import Moved, Remote, Result
from bootstrap.storage.hadoop import SharedStorage
from bootstrap.transfer.on_node import content
from bootstrap.transfer.place import Place

TIMEOUT = 3600.0
"""Seconds for a node to read, pack or write the content."""
STORAGE_TIMEOUT = TIMEOUT - 60
"""Seconds for a command of storage, which sends the files of a folder one by one: then its end is told."""
EXISTS = 17
"""Exit status of a script that finds its target taken."""
STAGING = "/var/tmp"  # noqa: S108 - on a node, and not in memory as /tmp may be; each use has a folder of its own
_PROGRAM = shlex.quote(Path(content.__file__).read_text())
_CONTENT = f'{AS_USER}content() {{ as_user $user {paths.ANY_PYTHON} -c {_PROGRAM} "$@"; }}\n'


class End(Protocol):
    """One place at the far end."""

    def sums(self) -> dict[str, str] | None:
        """Return the sums of its content (`content.sums`); None if there is nothing."""
        ...

    def fetch(self, to: Path, moved: Moved | None) -> bool:
        """Copy its content to the local path `to`, a folder as a tar stream; return True for a folder."""
        ...

    def store(self, source: Path, *, folder: bool, mode: int, force: bool, moved: Moved | None) -> None:
        """Copy a local file, or the folder in a tar stream, to it: under another name, then renamed."""
        ...


def _kind(result: Result) -> bool:
    return content.FOLDER in result.stderr.splitlines()


def _while_connected(command: str) -> str:
    """Return shell that runs a command, which is ended where the connection ends, as by Ctrl-C.

    A node learns of that only when it writes: an empty line a second, which no reader of errors regards.
    """
    return f"""trap '' PIPE
{command} </dev/null &
while sleep 1; kill -0 $! 2>/dev/null; do echo >&2 || kill $!; done
wait $!"""


def _taken(place: Place) -> ConfigError:
    return ConfigError(
        str(place), "it exists, with other content", "Add `--force` to replace it, or name another path."
    )


@dataclass(frozen=True)
class OnNode:
    """A path on a node."""

    remote: Remote
    place: Place

    def sums(self) -> dict[str, str] | None:
        """See `End.sums`."""
        result = self.remote.run(f"{self._start}content sums {self._path}", check=False, timeout=TIMEOUT)
        if result.exit_code == content.MISSING:
            return None
        if not result.ok:
            self._fail(result)
        found: dict[str, str] = json.loads(result.stdout)
        return found

    def fetch(self, to: Path, moved: Moved | None) -> bool:
        """See `End.fetch`."""
        script = f"{self._start}content read {self._path}"
        result = self.remote.receive(script, to, timeout=TIMEOUT, moved=moved)
        if not result.ok:
            self._fail(result)
        return _kind(result)

    def store(self, source: Path, *, folder: bool, mode: int, force: bool, moved: Moved | None) -> None:
        """See `End.store`."""
        aside = shlex.quote(f"{self.place.path}.{token()}")
        make = 'content unpack "$new" <"$file"' if folder else f'cp "$file" "$new"; chmod {mode:o} "$new"'
        result = self.remote.send(
            source,
            f"""{self._start}target={self._path}; new={aside}; old="$new.old"
trap 'rm -rf "$new"' EXIT
mkdir -p "$(dirname "$target")"
{make}
if [ -e "$target" ] || [ -L "$target" ]; then
    {"true" if force else f"exit {EXISTS}"}
    # A file replaces a file in one step; folders go aside.
    [ -f "$new" ] && [ ! -d "$target" ] || mv -T "$target" "$old"
fi
mv -fT "$new" "$target" || {{ [ ! -e "$old" ] || mv -T "$old" "$target"; exit 1; }}
rm -rf "$old"
""",
            timeout=TIMEOUT,
            moved=moved,
        )
        if not result.ok:
            self._fail(result)

    @property
    def _path(self) -> str:
        return shlex.quote(self.place.path)

    @property
    def _start(self) -> str:
        return f"user=root; umask 022\n{_CONTENT}"

    def _fail(self, result: Result) -> NoReturn:
        if result.exit_code == EXISTS:
            raise _taken(self.place)
        name = self.remote.node.name
        parent = shlex.quote(self.place.path.rpartition("/")[0] or "/")
        why = (result.stderr.strip().splitlines() or [f"status {result.exit_code}"])[-1]
        if result.exit_code == content.MISSING:
            why = "there is no such file or folder"
        raise CommandFailed(
            str(self.place),
            why,
            f"Run `fab ssh {name} --command 'ls -la {parent}'`.",
            exit_code=result.exit_code,
            output=result.tail,
        )


@dataclass(frozen=True)
class InStorage:
    """A path in shared storage; its content passes through a folder of the head."""

    head: Remote
    place: Place

    def sums(self) -> dict[str, str] | None:
        """See `End.sums`."""
        result = self.head.run(self._staged("sums"), check=False, timeout=TIMEOUT)
        if not result.ok:
            if self._storage.missing(self.place.path, result):
                return None
            self._storage.explain(self.place.path, result)
        found: dict[str, str] = json.loads(result.stdout)
        return found

    def fetch(self, to: Path, moved: Moved | None) -> bool:
        """See `End.fetch`."""
        result = self.head.receive(self._staged("read"), to, timeout=TIMEOUT, moved=moved)
        if not result.ok:
            if self._storage.missing(self.place.path, result):
                raise CommandFailed(str(self.place), "there is no such file or folder", "Check its name.")
            self._storage.explain(self.place.path, result)
        return _kind(result)

    def store(self, source: Path, *, folder: bool, mode: int, force: bool, moved: Moved | None) -> None:
        """See `End.store`. Replacing a folder of an object store is not one step."""
        storage, path = self._storage, self.place.path
        aside = storage.quoted(f"{path}._UPLOADING_{token()}")
        target, parent = storage.quoted(path), storage.quoted(path.rpartition("/")[0])
        remove = "dfs -rm -r -f -skipTrash"
        make = storage.command(f"dfs -put -f - {aside}") + ' <"$file"'
        if folder:
            put = storage.command(f'dfs -put "$stage/content" {aside}')
            make = f'content unpack "$stage/content" <"$file"\n{_while_connected(put)}'
        result = self.head.send(
            source,
            f"""{self._start("root")}chmod 0755 "$stage"
end() {{ rm -rf "$stage"; {storage.command(f"{remove} {aside}")} </dev/null >/dev/null 2>&1 || true; }}
trap '[ $? -eq 0 ] && rm -rf "$stage" || end' EXIT
{storage.command(f"dfs -mkdir -p {parent}")} </dev/null
{make}
if {storage.command(f"dfs -test -e {target}")} </dev/null; then
    {f"{storage.command(f'{remove} {target}')} </dev/null >/dev/null" if force else f"exit {EXISTS}"}
fi
{storage.command(f"dfs -mv {aside} {target}")} </dev/null
""",
            timeout=TIMEOUT,
            moved=moved,
        )
        if result.exit_code == EXISTS:
            raise _taken(self.place)
        if not result.ok:
            storage.explain(path, result)

    @property
    def _storage(self) -> SharedStorage:
        return SharedStorage(self.head, self.place.root, limit=STORAGE_TIMEOUT)

    def _start(self, user: str) -> str:
        return (
            f"user={user}; umask 022\n{_CONTENT}"
            f"stage=$(mktemp -d {STAGING}/.caffe-spark-XXXXXX); trap 'rm -rf \"$stage\"' EXIT\n"
        )

    def _staged(self, verb: str) -> str:
        """Return a script that copies the content to the head, and reads it with the job user's rights."""
        get = self._storage.command(f"dfs -get {self._storage.quoted(self.place.path)} content")
        return (
            f'set -e\n{self._start(paths.JOB_USER)}chown {paths.JOB_USER} "$stage"\n'
            f'(cd "$stage"; {get}) </dev/null >&2\ncontent {verb} "$stage/content"'
        )
