"""Folders of shared storage with a manifest of their files, made once on the head.

The manifest is written last, so it is there if the folder is; it has the sizes and sums of all files, so a
folder that was interrupted or damaged is recognized. Renaming a folder is not atomic on an object store.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.errors import CommandFailed
from bootstrap.ssh.remote import Result
from bootstrap.storage.hadoop import UNCHANGED, WAITING, SharedStorage
from bootstrap.storage.programs import CHECK, DESCRIBE, DIFFERS, WHOLE

MANIFEST = "manifest.json"
MADE = "made"
"""Name of the folder that a script makes, in its working folder."""
AT_WORK = "at-work"
"""File in the working folder while the script needs it, which goes on where its caller is interrupted."""
NOT_MADE = 78
"""Exit code of the `CommandFailed` for a script that fails to make the folder."""
_UPLOADING = "._UPLOADING_"


@dataclass(frozen=True)
class Folder:
    """A folder at `path`, by what it has to hold."""

    path: str
    inputs: Mapping[str, str]
    """What it is made of, by name: any JSON object that decides its content."""
    files: tuple[str, ...]
    """Names below the folder."""

    @property
    def manifest(self) -> str:
        """Path of its manifest."""
        return f"{self.path}/{MANIFEST}"

    @property
    def all_paths(self) -> tuple[str, ...]:
        """Paths of the manifest and of the files."""
        return (self.manifest, *(f"{self.path}/{name}" for name in self.files))


class Stored(NamedTuple):
    """State of a folder in storage: whole; or, with `why`, there and not as it has to be; else missing."""

    whole: bool
    why: str = ""


def check(storage: SharedStorage, folder: Folder) -> Stored:
    """Compare a folder with its manifest, byte for byte, in one call.

    Raises:
        ServiceDown: the storage does not answer.
    """
    result = storage.concatenated(folder.all_paths, _checker(folder))
    verdict, _, why = result.stdout.strip().partition(" ")
    if verdict == WHOLE:
        return Stored(True)
    missing = [path for path in folder.all_paths if storage.missing(path, result)]
    if len(missing) == len(folder.all_paths):
        return Stored(False)
    if folder.manifest in missing:
        return Stored(False, "it has no manifest, so writing it was interrupted")
    if missing:
        return Stored(
            False, f"{', '.join(path.removeprefix(f'{folder.path}/') for path in missing)} is missing"
        )
    if not result.ok and verdict != DIFFERS:
        why = _refused(storage, folder, result)
    return Stored(False, why or "it is empty")


def before_making(storage: SharedStorage, folder: Folder) -> Stored:
    """Require that storage takes writes, and compare a folder with its manifest, before it is made.

    Raises:
        ServiceDown: the storage does not answer, or takes no writes.
    """
    storage.require_writable()
    return check(storage, folder)


def make(
    storage: SharedStorage,
    folder: Folder,
    script: str,
    *,
    work: str,
    timeout: float,
    say: Callable[[str], None],
    prefix: str = "",
) -> bool:
    """Make a folder on the head and write it to storage, unless it is whole there; return True if written.

    `script` makes the folder `work`/MADE on the head in at most `timeout` seconds; `work` is removed at the
    end. One caller at a time does so; the others wait, and `say` gets a line about it. It also gets the lines
    of the script that begin with `prefix`, without it.

    Raises:
        CommandFailed: the script failed (exit code NOT_MADE), or storage refused the write.
        ServiceDown: the storage does not answer.
    """
    target, remove = storage.quoted(folder.path), "dfs -rm -r -f -skipTrash"
    aside = storage.quoted(f"{folder.path}{_UPLOADING}{token()}")
    made, manifest = f"{work}/{MADE}", f"{work}/{MANIFEST}"
    describe = shlex.join([made, json.dumps(dict(folder.inputs)), *folder.files])
    stored = f"{storage.command(_cat(storage, folder))} </dev/null 2>/dev/null | {_checker(folder)}"
    text = f"""
uploading=
end() {{
    trap '' HUP INT TERM
    rm -rf {shlex.quote(work)}
    [ -z "$uploading" ] || {storage.command(f"{remove} {aside}")} >/dev/null 2>&1
}}
trap end EXIT
# Of a signal itself, dash ends without the trap above.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
[ ! -d {shlex.quote(work)} ] || : >{shlex.quote(f"{work}/{AT_WORK}")}
stored() {{ {stored}; }}
[ "$(stored)" != {WHOLE} ] || exit {UNCHANGED}
set +e
( set -e
{script}
)
[ $? -eq 0 ] || exit {NOT_MADE}
set -e
{paths.ANY_PYTHON} -c {shlex.quote(DESCRIBE)} {describe} >{shlex.quote(manifest)}
# Of writers that were interrupted: under this lock none is at work.
{storage.command(f"{remove} {storage.quoted(f'{folder.path}{_UPLOADING}*')}")} >/dev/null
uploading=yes
{storage.command(f"dfs -mkdir -p {aside}")}
{storage.command(f"dfs -put {shlex.quote(made)}/* {aside}/", glob=True)}
{storage.command(f"{remove} {storage.quoted(folder.manifest)} {target}")} >/dev/null
{storage.command(f"dfs -mv {aside} {target}")}
uploading=
{storage.file(manifest, folder.manifest)}
"""

    def pass_on(line: str) -> None:
        if line == WAITING:
            say(line)
        elif prefix and line.startswith(prefix):
            say(line.removeprefix(prefix))

    return storage.write(folder.path, text, lock=_lock(folder), timeout=timeout, on_line=pass_on)


def _cat(storage: SharedStorage, folder: Folder) -> str:
    return " ".join(["dfs -cat", *map(storage.quoted, folder.all_paths)])


def _checker(folder: Folder) -> str:
    arguments = shlex.join([CHECK, json.dumps(dict(folder.inputs)), *folder.files])
    return f"{paths.ANY_PYTHON} -c {arguments}"


def _refused(storage: SharedStorage, folder: Folder, result: Result) -> str:
    """Return why storage does not give the files; raise ServiceDown if it does not answer."""
    try:
        storage.explain(folder.manifest, result)
    except CommandFailed as error:
        return f"it cannot be read ({error.why})"


def _lock(folder: Folder) -> str:
    """Return a name for the folder's own lock: making it may take minutes, in which others write."""
    return hashlib.sha256(folder.path.encode()).hexdigest()[:16]
