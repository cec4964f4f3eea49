"""Storage on executors: any Hadoop URI through the node's `hdfs dfs`, `file:` directly.

An executor's Python has no JVM, so each command starts one (one to two seconds), unless it is given to a
`Shell` (see `jobs.trainer.files.shell`), whose JVM stays.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple
from urllib.parse import quote

from jobs.trainer.errors import TrainerError

HDFS = "/opt/hadoop/bin/hdfs"
TIMEOUT = 600
PART = ".part"
"""Suffix of a file that is on its way."""
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""JVM options for a short run: optimisation would double the CPU time taken from training."""

Run = Callable[[List[str]], Tuple[int, List[str]]]
"""Runs a command of `hdfs dfs`; returns its exit status, and the lines that it printed."""


def local_path(uri: str) -> str:
    """Return the path of a `file:` URI (one slash or three); empty for every other URI.

    As Hadoop's Path reads it: `%`, `#` and `?` are characters of the path.
    """
    scheme, _, path = uri.partition(":")
    if scheme != "file":
        return ""
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        return slash + path if host in {"", "localhost"} else ""
    return path


def whole(uri: str) -> str:
    """Return a `file:` URI with a relative path, as CaffeOnSpark's own nets have, as an absolute one.

    It begins at this process's working folder. Other URIs are returned as they are.
    """
    path = local_path(uri)
    return "file:{}".format(Path(path).absolute()) if path and not path.startswith("/") else uri


def parent(uri: str) -> str:
    """Return the parent folder of a URI, without trailing slash."""
    return uri.rstrip("/").rpartition("/")[0]


def put(
    source: Path,
    uri: str,
    *,
    run: Optional[Run] = None,
    allowed: Optional[Callable[[], None]] = None,
    part: str = PART,
) -> None:
    """Copy a local file to `uri`, replacing an existing one; create its folder. `run` runs the commands.

    `allowed` is called between the transfer and the renaming; what it raises leaves `uri` as it is. `part` is
    the suffix until then: that of another writer of the same URI differs, or one would rename the other's.

    Raises:
        TrainerError: storage refused it; the command's message is included.
    """
    path = local_path(uri)
    if path:
        _put_here(source, Path(path), uri, allowed, part)
        return
    # `-put` writes aside and renames, so readers see the old file or the new one. The folder nearly
    # always exists, so it is created only after a first failure. It reads its source as a URI.
    target = uri if allowed is None else uri + part
    put_it = ["-put", "-f", quote(str(source)), _literal(target)]
    if _hdfs(put_it, uri, run, check=False) != 0:
        _hdfs(["-mkdir", "-p", _literal(parent(uri))], uri, run)
        _hdfs(put_it, uri, run)
    if allowed is None:
        return
    try:
        allowed()
        # A file is not renamed over another one.
        if _hdfs(["-mv", _literal(target), _literal(uri)], uri, run, check=False) != 0:
            # A broken network may have held the renaming back, and the other file be a newer attempt's.
            allowed()
            remove([uri], run=run)
            _hdfs(["-mv", _literal(target), _literal(uri)], uri, run)
    except BaseException:
        _hdfs(["-rm", "-f", "-skipTrash", _literal(target)], uri, run, check=False)
        raise


def _put_here(source: Path, target: Path, uri: str, allowed: Optional[Callable[[], None]], part: str) -> None:
    partial = target.with_name(target.name + part)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(source), str(partial))
        if allowed is not None:
            allowed()
        partial.replace(target)
    except OSError as error:
        raise TrainerError("local-write-failed", uri=uri, reason=str(error)) from error
    except TrainerError:
        partial.unlink()
        raise


def remove(uris: Sequence[str], *, run: Optional[Run] = None) -> None:
    """Remove files; one that does not exist is none to remove.

    Raises:
        TrainerError: storage refused it.
    """
    for uri in uris:
        path = local_path(uri)
        if path:
            with suppress(FileNotFoundError):
                Path(path).unlink()
        else:
            _hdfs(["-rm", "-f", "-skipTrash", _literal(uri)], uri, run)


def read(uri: str, *, run: Optional[Run] = None) -> str:
    """Return the text of a small file.

    Raises:
        TrainerError: it cannot be read.
    """
    path = local_path(uri)
    try:
        if path:
            return Path(path).read_text()
        code, lines = (run or command)(["-cat", _literal(uri)])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrainerError("hdfs-read-failed", uri=uri, reason=str(error)) from error
    if code != 0:
        raise TrainerError("hdfs-read-failed", uri=uri, reason=(lines or ["status {}".format(code)])[-1])
    return "\n".join(line for line in lines if "WARN " not in line)


def get(uri: str, target: Path, *, run: Optional[Run] = None) -> None:
    """Copy a file or folder of shared storage to a local path that does not exist. `run` runs the command.

    Raises:
        TrainerError: it cannot be read; the command's message is included.
    """
    _hdfs(["-get", _literal(uri), quote(str(target))], uri, run, reading=True)


def _literal(uri: str) -> str:
    """Return a URI for `hdfs dfs`, to which some characters are patterns."""
    return re.sub(r"([\\*?\[\]{}^])", r"\\\1", uri)


def program() -> str:
    """Return the node's `hdfs` command."""
    return HDFS if os.access(HDFS, os.X_OK) else "hdfs"


def environment() -> Dict[str, str]:
    """Return the environment of `hdfs`."""
    return {"HADOOP_CLIENT_OPTS": SHORT_LIVED, **os.environ}


def command(arguments: List[str]) -> Tuple[int, List[str]]:
    """Run a command of `hdfs dfs` in a process of its own; see `Run`.

    Raises:
        OSError: it does not start.
        subprocess.TimeoutExpired: it took longer than TIMEOUT seconds.
    """
    done = subprocess.run(
        [program(), "dfs", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=False,
        env=environment(),
    )
    return done.returncode, done.stdout.decode(errors="replace").strip().splitlines()


def _hdfs(
    arguments: List[str], uri: str, run: Optional[Run], *, check: bool = True, reading: bool = False
) -> int:
    try:
        code, lines = (run or command)(arguments)
    except (OSError, subprocess.TimeoutExpired) as error:
        words = " ".join([program(), "dfs", *arguments[:1]])
        raise TrainerError("hdfs-command-failed", uri=uri, command=words, reason=str(error)) from error
    if check and code != 0:
        # After the reason, some commands explain their options.
        said = [line for line in lines if "WARN " not in line and not line.startswith("Usage: ")] or [
            "status {}".format(code)
        ]
        raise TrainerError("hdfs-read-failed" if reading else "hdfs-write-failed", uri=uri, reason=said[-1])
    return code
