"""Shared storage through `hdfs dfs` on the head: the same commands for HDFS, S3A and WASB.

A command starts a JVM on the head and takes one to two seconds, so each method is one round trip. What is
read before each job comes from HDFS's own HTTP interface, which takes milliseconds.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import quote, urlsplit

from bootstrap import paths
from bootstrap.engine.script import LOCK_WAIT, take_lock
from bootstrap.errors import CommandFailed
from bootstrap.ssh.remote import TIMED_OUT, OnLine, Remote, Result
from bootstrap.storage import namenode
from bootstrap.storage.programs import LONGEST, SPLIT
from bootstrap.storage.refusals import refusal

TIMEOUT = 600.0
"""Seconds for one command; enough for a gigabyte on a slow disk. The node itself ends it then."""
GRACE = 30.0
"""Seconds after which a node that has not ended it does not answer."""
WAITING = "waiting for another command that writes"
_LOCK = f"{paths.RUN}/storage"
UNCHANGED = 9
"""Exit status of a script that leaves storage unchanged."""
_MISSING = "No such file or directory"


class SharedStorage:
    """The cluster's shared storage at `uri`, accessed on its head as `user`, in `limit` seconds a command."""

    def __init__(self, head: Remote, uri: str, *, user: str = paths.JOB_USER, limit: float = TIMEOUT) -> None:
        self._head, self._uri, self._user, self._limit = head, uri.rstrip("/"), user, limit

    def url(self, path: str) -> str:
        """Return the full URL of a path, e.g. `/data/x` → `hdfs://head:9000/data/x`."""
        return f"{self._uri}/{path.lstrip('/')}"

    def exists(self, path: str) -> bool:
        """Return True if the file or folder exists.

        Raises:
            ServiceDown: the storage does not answer.
        """
        result = self.run(f"{self.command(f'dfs -test -e {self.quoted(path)}')} </dev/null")
        if not result.ok and (result.exit_code != 1 or _errors(result)):
            self.explain(path, result)
        return result.ok

    def read(self, path: str) -> bytes | None:
        """Return a small file's bytes, transferred over SSH; None if it does not exist.

        Raises:
            ServiceDown: the storage does not answer.
            CommandFailed: the file cannot be read.
        """
        # One byte more than allowed: then it is known to be too long.
        whole = f"head -c {LONGEST + 1} | base64 -w0"
        result = self.run(self.piped(f"dfs -cat {self.quoted(path)}", whole))
        data = base64.b64decode(result.stdout)
        if len(data) > LONGEST:
            why = f"it has more than {LONGEST >> 20} MiB, and a small document belongs there"
            raise CommandFailed(self.url(path), why, "Remove it, then rerun the command.")
        if not result.ok:
            if _MISSING in result.stderr:
                return None
            self.explain(path, result)
        return data

    def read_and_sum(self, document: str, file: str) -> tuple[bytes | None, str | None]:
        """Return the bytes of a small file and the sha256 of another, in one call; None for a missing file.

        Raises:
            ServiceDown: the storage does not answer.
        """
        # Printed together: the first is JSON, so its end can be found.
        result = self.concatenated([document, file], f"{paths.ANY_PYTHON} -c {shlex.quote(SPLIT)}")
        first, second = (self.missing(path, result) for path in (document, file))
        if not result.ok and not (first or second):
            self.explain(document, result)
        text, _, digest = result.stdout.strip().partition(" ")
        return None if first else base64.b64decode(text), None if first or second else digest

    def put(self, on_head: str, path: str) -> None:
        """Copy a file of the head to storage atomically, replacing an existing one.

        Raises:
            CommandFailed: the file does not exist on the head, or storage refused the write.
            ServiceDown: the storage does not answer.
        """
        self.write(path, f"{self._required(on_head)}\n{self.file(on_head, path)}")

    def put_new(self, files: Sequence[tuple[str, str]]) -> bool:
        """Copy files of the head to storage, in this order, unless the last of them exists.

        Returns:
            True if they were written; of several concurrent callers, only the first writes.

        Raises:
            CommandFailed, ServiceDown: as for `put`.
        """
        last = files[-1][1]
        lines = [f"! {self.command(f'dfs -test -e {self.quoted(last)}')} || exit {UNCHANGED}"]
        for on_head, path in files:
            lines += [self._required(on_head), self.file(on_head, path)]
        return self.write(last, "\n".join(lines))

    def write(
        self, path: str, script: str, *, lock: str = "", timeout: float = 0.0, on_line: OnLine | None = None
    ) -> bool:
        """Run a script that writes to `path` under the head's lock of that name; return True if it wrote.

        It exits with UNCHANGED if nothing has to be written. The lock ends with the process that holds it.
        `timeout` is for what it does besides storage's own commands; a line WAITING is printed where the
        lock is taken.

        Raises:
            CommandFailed: it failed, or another process keeps the lock.
            ServiceDown: the storage does not answer.
        """
        # Concurrent writers would remove each other's temporary files; all of them run on this head.
        taken = take_lock(
            f"{_LOCK}{f'-{lock}' if lock else ''}.lock",
            waiting=WAITING,
            busy=f"another command has been writing to it for {LOCK_WAIT} s",
        )
        held = f"""{{
set -e
{taken}
{script}
}}
"""
        # In braces: of a script that arrives in part, because this machine goes down, nothing is run.
        limit = timeout + LOCK_WAIT + 2 * self._limit
        result = self._head.run(held, check=False, timeout=limit, on_line=on_line)
        if not result.ok and result.exit_code != UNCHANGED:
            self.explain(path, result)
        return result.ok

    def _required(self, on_head: str) -> str:
        source = shlex.quote(on_head)
        return f"[ -e {source} ] || {{ echo {source}': {_MISSING} on the head' >&2; exit 1; }}"

    def file(self, on_head: str, path: str) -> str:
        """Return shell that copies one file; root opens it, so its mode does not matter."""
        # `-put` itself writes under a temporary name and renames.
        parent = self.quoted(path.rstrip("/").rpartition("/")[0])
        write = f"{self.command(f'dfs -put -f - {self.quoted(path)}')} <{shlex.quote(on_head)}"
        return f"{self.command(f'dfs -mkdir -p {parent}')}\n{write}"

    def fetch(self, path: str, on_head: str) -> None:
        """Write a file of storage, or those of a pattern in turn, to a file of root's on the head.

        The folder must be writable for root only. Storage's user never has the file open, and cannot change
        it after its sum was taken.

        Raises:
            CommandFailed: the file does not exist, or the head's disk is full.
            ServiceDown: the storage does not answer.
        """
        target = shlex.quote(on_head)
        result = self._head.run(
            f"""set -e
mkdir -p "$(dirname {target})"
aside=$(mktemp "$(dirname {target})/.fetch-XXXXXX"); trap 'rm -f "$aside"' EXIT
{self.command(f"dfs -cat {self.quoted(path)}")} </dev/null >"$aside"
mv -fT "$aside" {target}
""",
            check=False,
            timeout=self._limit + GRACE,
        )
        if not result.ok:
            self.explain(path, result)

    def remove(self, path: str) -> None:
        """Remove a file or folder if it exists.

        Raises:
            CommandFailed: storage refused the removal.
            ServiceDown: the storage does not answer.
        """
        result = self.run(f"{self.command(f'dfs -rm -r -f -skipTrash {self.quoted(path)}')} </dev/null")
        if not result.ok:
            self.explain(path, result)

    def require_writable(self) -> None:
        """See `namenode.require_writable`; object stores have no such state, their refusals are translated.

        Raises:
            ServiceDown: the NameNode is down or in safe mode, or no DataNode is alive.
        """
        if urlsplit(self._uri).scheme == "hdfs":
            namenode.require_writable(self._head, self._uri)

    def missing(self, path: str, result: Result) -> bool:
        """Return True if the command reported this file as missing."""
        return any(_MISSING in line and self.url(path) in line for line in _errors(result))

    def quoted(self, path: str) -> str:
        """Return the full URL of a path as a shell word."""
        return shlex.quote(self.url(path))

    def command(self, words: str, *, glob: bool = False) -> str:
        """Return `hdfs WORDS` as the storage's user; with `glob` that user's shell expands the words."""
        env, hdfs = paths.LOAD_PROFILE, f"{paths.HDFS} {words}"
        user = f"timeout -k 10 {self._limit:g} runuser -u {self._user} --"
        if glob:
            return f"({env}; {user} sh -c {shlex.quote(hdfs)})"
        return f"({env}; exec {user} {hdfs})"

    def concatenated(self, files: Sequence[str], reader: str) -> Result:
        """Pipe files in turn to a reader; fails if one of them is missing or cannot be read."""
        if urlsplit(self._uri).scheme == "hdfs":
            quick = self.run(_piped(self._fetched(files), reader))
            if quick.ok:
                return quick
        # What is wrong, Hadoop's own client says, and it decides.
        return self.run(self.piped(" ".join(["dfs -cat", *map(self.quoted, files)]), reader))

    def _fetched(self, files: Sequence[str]) -> str:
        """Return shell that prints files of HDFS in turn, by its HTTP interface."""
        parts = urlsplit(self._uri)
        base = f"http://{parts.hostname}:{namenode.NAMENODE_HTTP}/webhdfs/v1{parts.path}"
        urls = [
            shlex.quote(f"{base}/{quote(file.lstrip('/'))}?op=OPEN&user.name={self._user}") for file in files
        ]
        limits = "--connect-timeout 5 --speed-limit 1 --speed-time 30"
        return f"curl -fsSL --noproxy '*' --fail-early {limits} --max-time {self._limit:g} {' '.join(urls)}"

    def piped(self, words: str, reader: str) -> str:
        """Return shell that pipes `hdfs WORDS` to a reader, and ends with the status of the first to fail."""
        return _piped(self.command(words), reader)

    def run(self, script: str) -> Result:
        """Run a script of one command of storage on the head."""
        return self._head.run(script, check=False, timeout=self._limit + GRACE)

    def explain(self, path: str, result: Result) -> NoReturn:
        """Raise the translated error: storage down, a refusal, a full disk, or the command's own message."""
        self.require_writable()
        translated = refusal(self._uri, result.stderr)
        if translated is not None:
            raise translated
        why = (_errors(result) or [f"status {result.exit_code}"])[-1]
        fix = "Run `fab doctor`."
        if result.exit_code == TIMED_OUT:
            why = f"storage did not end it in {self._limit:.0f} s"
        if "No space left on device" in result.stderr:
            why, fix = "No space left on device", f"Free space on {self._head.node.name}."
        raise CommandFailed(self.url(path), why, fix, exit_code=result.exit_code, output=result.tail)


def _piped(command: str, reader: str) -> str:
    return f"""code=$(mktemp); trap 'rm -f "$code"' EXIT
{{ {command} </dev/null; echo $? >"$code"; }} | {reader} || exit
exit "$(cat "$code")"
"""


def _errors(result: Result) -> list[str]:
    """Return the lines of a Hadoop command's stderr without its warnings."""
    return [
        line for line in result.stderr.splitlines() if line.strip() and not re.search(r"(^|\s)WARN\s", line)
    ]
