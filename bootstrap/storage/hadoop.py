"""Shared storage through `hdfs dfs` on the head: the same commands for HDFS, S3A and WASB.

A command starts a JVM on the head and takes one to two seconds, so each method is one round trip.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.errors import CommandFailed
from bootstrap.ssh.remote import Remote, Result
from bootstrap.storage import namenode
from bootstrap.storage.refusals import refusal

TIMEOUT = 600.0
"""Seconds; enough for a gigabyte on a slow disk."""
_LOCK = "/run/lock/caffe-spark-storage"
_UNCHANGED = 9
"""Exit status of a script that leaves storage unchanged."""
_MISSING = "No such file or directory"

_SPLIT = """
import base64, hashlib, json, sys
data = open(sys.argv[1], "rb").read()
text = data.decode("utf-8", "surrogateescape")
try:
    end = len(text[: json.JSONDecoder().raw_decode(text)[1]].encode("utf-8", "surrogateescape"))
    end += data[end : end + 1] == b"\\n"
except ValueError:
    end = len(data)  # not JSON: the reader reports it
print(base64.b64encode(data[:end]).decode(), hashlib.sha256(data[end:]).hexdigest())
"""


class SharedStorage:
    """The cluster's shared storage at `uri`, accessed on its head as `user`."""

    def __init__(self, head: Remote, uri: str, *, user: str = paths.JOB_USER) -> None:
        self._head, self._uri, self._user = head, uri.rstrip("/"), user

    def url(self, path: str) -> str:
        """Return the full URL of a path, e.g. `/data/x` → `hdfs://head:9000/data/x`."""
        return f"{self._uri}/{path.lstrip('/')}"

    def exists(self, path: str) -> bool:
        """Return True if the file or folder exists.

        Raises:
            ServiceDown: the storage does not answer.
        """
        result = self._run(f"dfs -test -e {self._quoted(path)}")
        if not result.ok and (result.exit_code != 1 or _errors(result)):
            self._explain(path, result)
        return result.ok

    def read(self, path: str) -> bytes | None:
        """Return a small file's bytes, transferred over SSH; None if it does not exist.

        Raises:
            ServiceDown: the storage does not answer.
            CommandFailed: the file cannot be read.
        """
        script = f'f=$(mktemp); trap "rm -f $f" EXIT; {self._command(f"dfs -cat {self._quoted(path)}")} >$f'
        result = self._head.run(f"{script} || exit $?; base64 -w0 $f", check=False, timeout=TIMEOUT)
        if not result.ok:
            if _MISSING in result.stderr:
                return None
            self._explain(path, result)
        return base64.b64decode(result.stdout)

    def read_and_sum(self, document: str, file: str) -> tuple[bytes | None, str | None]:
        """Return the bytes of a small file and the sha256 of another, in one call; None for a missing file.

        Raises:
            ServiceDown: the storage does not answer.
        """
        # One JVM prints both, concatenated; the first is JSON, so its end can be found.
        both = self._command(f"dfs -cat {self._quoted(document)} {self._quoted(file)}")
        result = self._head.run(
            f"f=$(mktemp); trap 'rm -f $f' EXIT; {both} >$f; code=$?\n"
            f"{paths.ANY_PYTHON} - $f <<'SPLIT' && exit $code\n{_SPLIT}\nSPLIT\n",
            check=False,
            timeout=TIMEOUT,
        )
        first, second = (self._missing(path, result) for path in (document, file))
        if not result.ok and not (first or second):
            self._explain(document, result)
        text, _, digest = result.stdout.strip().partition(" ")
        return None if first else base64.b64decode(text), None if first or second else digest

    def put(self, on_head: str, path: str, *, same: str = "") -> bool:
        """Copy a file or folder of the head to storage atomically, replacing an existing one.

        A folder must be readable by the storage's user. `same` names a small file in it: if storage has
        the same bytes under that name already, the folder is left unchanged, since others may be reading it.

        Returns:
            True if it was written.

        Raises:
            CommandFailed: the file does not exist on the head, or storage refused the write.
            ServiceDown: the storage does not answer.
        """
        source, target = shlex.quote(on_head), self._quoted(path)
        aside = self._quoted(f"{path.rstrip('/')}._UPLOADING_{token()}")
        remove = "dfs -rm -r -f -skipTrash"
        keep = ""
        if same:
            stored = self._command(f"dfs -cat {self._quoted(f'{path}/{same}')}")
            keep = (
                f"! {stored} 2>/dev/null | cmp -s - {shlex.quote(f'{on_head}/{same}')} || exit {_UNCHANGED}"
            )
        return self._put(
            path,
            f"""{self._required(on_head)}
if [ -d {source} ]; then
    {keep}
    drop() {{ {self._command(f"{remove} {aside}")} >/dev/null 2>&1; }}
    trap drop EXIT
    {self._command(f"dfs -mkdir -p {aside}")}
    {self._command(f"dfs -put {source}/* {aside}/", glob=True)}
    {self._command(f"{remove} {target}")} >/dev/null
    {self._command(f"dfs -mv {aside} {target}")}
    trap - EXIT
else
    {self._file(on_head, path)}
fi
""",
        )

    def put_new(self, files: Sequence[tuple[str, str]]) -> bool:
        """Copy files of the head to storage, in this order, unless the last of them exists.

        Returns:
            True if they were written; of several concurrent callers, only the first writes.

        Raises:
            CommandFailed, ServiceDown: as for `put`.
        """
        last = files[-1][1]
        lines = [f"! {self._command(f'dfs -test -e {self._quoted(last)}')} || exit {_UNCHANGED}"]
        for on_head, path in files:
            lines += [self._required(on_head), self._file(on_head, path)]
        return self._put(last, "\n".join(lines))

    def _put(self, path: str, script: str) -> bool:
        """Run a script that writes, or exits with `_UNCHANGED` if nothing has to be written."""
        # Concurrent writers would remove each other's temporary files; all of them run on this head.
        result = self._head.run(f"set -e\nexec 9>{_LOCK}; flock 9\n{script}", check=False, timeout=TIMEOUT)
        if not result.ok and result.exit_code != _UNCHANGED:
            self._explain(path, result)
        return result.ok

    def _required(self, on_head: str) -> str:
        source = shlex.quote(on_head)
        return f"[ -e {source} ] || {{ echo {source}': {_MISSING} on the head' >&2; exit 1; }}"

    def _file(self, on_head: str, path: str) -> str:
        """Return shell that copies one file; root opens it, so its mode does not matter."""
        # `-put` itself writes to a temporary name and renames.
        parent = self._quoted(path.rstrip("/").rpartition("/")[0])
        write = f"{self._command(f'dfs -put -f - {self._quoted(path)}')} <{shlex.quote(on_head)}"
        return f"{self._command(f'dfs -mkdir -p {parent}')}\n{write}"

    def fetch(self, path: str, on_head: str) -> None:
        """Copy a file or folder of storage to the head atomically, owned by root.

        Raises:
            CommandFailed: the file does not exist, or the head's disk is full.
            ServiceDown: the storage does not answer.
        """
        target = shlex.quote(on_head)
        result = self._head.run(
            f"""set -e
mkdir -p "$(dirname {target})"
aside=$(mktemp -d "$(dirname {target})/.fetch-XXXXXX"); trap 'rm -rf "$aside"' EXIT
chown {self._user} "$aside"
{self._command(f'dfs -get {self._quoted(path)} "$aside/got"')}
chown -R root:root "$aside/got"
# Another process may create the target at any moment: move it aside until ours is in place.
tries=0
until mv -T "$aside/got" {target} 2>/dev/null; do
    tries=$((tries + 1)); [ $tries -lt 10 ] || exec mv -T "$aside/got" {target}
    mv -T {target} "$aside/old-$tries" 2>/dev/null || true
done
""",
            check=False,
            timeout=TIMEOUT,
        )
        if not result.ok:
            self._explain(path, result)

    def remove(self, path: str) -> None:
        """Remove a file or folder if it exists.

        Raises:
            CommandFailed: storage refused the removal.
            ServiceDown: the storage does not answer.
        """
        result = self._run(f"dfs -rm -r -f -skipTrash {self._quoted(path)}")
        if not result.ok:
            self._explain(path, result)

    def require_writable(self) -> None:
        """See `namenode.require_writable`; object stores have no such state, their refusals are translated.

        Raises:
            ServiceDown: the NameNode is down or in safe mode, or no DataNode is alive.
        """
        if urlsplit(self._uri).scheme == "hdfs":
            namenode.require_writable(self._head, self._uri)

    def _missing(self, path: str, result: Result) -> bool:
        """Return True if the command reported this file as missing."""
        return any(_MISSING in line and self.url(path) in line for line in _errors(result))

    def _quoted(self, path: str) -> str:
        return shlex.quote(self.url(path))

    def _command(self, words: str, *, glob: bool = False) -> str:
        """Return `hdfs WORDS` as the storage's user; with `glob` that user's shell expands the words."""
        env, hdfs = paths.LOAD_PROFILE, f"{paths.HDFS} {words}"
        if glob:
            return f"({env}; runuser -u {self._user} -- sh -c {shlex.quote(hdfs)})"
        return f"({env}; exec runuser -u {self._user} -- {hdfs})"

    def _run(self, words: str) -> Result:
        return self._head.run(f"{self._command(words)} </dev/null", check=False, timeout=TIMEOUT)

    def _explain(self, path: str, result: Result) -> NoReturn:
        """Raise the translated error: storage down, a refusal, a full disk, or the command's own message."""
        self.require_writable()
        translated = refusal(self._uri, result.stderr)
        if translated is not None:
            raise translated
        why = (_errors(result) or [f"status {result.exit_code}"])[-1]
        fix = "Run `fab doctor`."
        if "No space left on device" in result.stderr:
            why, fix = "No space left on device", f"Free space on {self._head.node.name}."
        raise CommandFailed(self.url(path), why, fix, exit_code=result.exit_code, output=result.tail)


def _errors(result: Result) -> list[str]:
    """Return the lines of a Hadoop command's stderr without its warnings."""
    return [
        line for line in result.stderr.splitlines() if line.strip() and not re.search(r"(^|\s)WARN\s", line)
    ]
