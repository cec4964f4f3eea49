"""A node that is this machine's own `sh`, with stand-ins for what needs root: for unit tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from bootstrap import paths
from bootstrap.cluster import Node
from bootstrap.errors import CommandFailed
from bootstrap.ssh import restarts
from bootstrap.ssh.remote import Moved, OnLine, Result
from tests.host_keys import host_key

_ID = {
    "-u": os.getuid(),
    "-un": pwd.getpwuid(os.getuid()).pw_name,
    "-g": os.getgid(),
    "-G": " ".join(map(str, os.getgroups() or [os.getgid()])),
}
# A transient unit is a session of its own here: its id is the process group.
_FAKES = {
    "systemd-run": """
for word; do case "$word" in --unit=*) unit=${word#--unit=};; --*) ;; *) break;; esac; shift; done
setsid "$@" </dev/null >/dev/null 2>&1 &
echo $! >"$FAKE_STATE/$unit"
""",
    "systemctl": """
verb=$1; shift; [ "$1" != --quiet ] || { quiet=1; shift; }
pid=$(cat "$FAKE_STATE/$1" 2>/dev/null)
case $verb in
start)
    # A unit with a file, which systemd would start again after a reboot.
    [ "$1" != --no-block ] || shift
    setsid sh -c "$(sed -n 's/^ExecStart=//p' "$FAKE_STATE/systemd/$1.service")" </dev/null >/dev/null 2>&1 &
    echo $! >"$FAKE_STATE/$1";;
is-active)
    # an ended child of an ended shell may stay as a zombie where nothing reaps
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; then
        [ "$quiet" ] || echo active; exit 0
    fi
    [ "$quiet" ] || echo inactive; exit 3;;
show) echo 0;;
list-units)
    for file in "$FAKE_STATE"/caffe-spark-job-*; do
        unit=${file##*/}
        if [ -e "$file" ] && "$0" is-active --quiet "$unit"; then echo "$unit.service loaded active"; fi
    done;;
stop) [ -n "$pid" ] && kill -KILL "-$pid" 2>/dev/null; rm -f "$FAKE_STATE/$1"; exit 0;;
esac
""",
    "chown": "exit 0",
    "setpriv": 'while case $1 in --*) ;; *) false;; esac; do shift; done; exec "$@"',
    # Every user is there, as the one who runs the tests.
    "id": f"""
case $1 in
{"".join(f"{flag}) echo {said};;" for flag, said in _ID.items())}
*) exec /usr/bin/id "$1";;
esac
""",
    "runuser": """while [ "$1" != -- ]; do shift; done; shift; exec "$@" """,
    # A node's scripts want the standard library alone: looking for packages doubles Python's start.
    "python3": f'exec {sys.executable} -S "$@"',
}

HDFS = r"""
echo "2026-01-01 WARN util.NativeCodeLoader: Unable to load native-hadoop library" >&2
[ "$1" = dfs ] || exit 2
verb=$2; shift 2
here() {
    case $1 in
    *://*/*) echo "$FAKE_STATE/dfs/${1#*://*/}";;
    *://*) echo "$FAKE_STATE/dfs";;
    *) echo "$1";;
    esac
}
missing() { [ -e "$(here "$1")" ] || { echo "$verb: \`$1': No such file or directory" >&2; exit 1; }; }
while :; do case "$1" in -p|-r|-f|-e|-skipTrash) shift;; *) break;; esac; done
case $verb in
-test) [ -e "$(here "$1")" ];;
-cat) bad=0; for p; do
    set -- $(here "$p")
    if [ -e "$1" ]; then cat "$@"
    else echo "cat: \`$p': No such file or directory" >&2; bad=1; fi; done; exit $bad;;
-mkdir) mkdir -p "$(here "$1")";;
-ls) bad=0; for p; do
    one=$(here "$p"); set -- $one
    if [ -d "$one" ]; then set -- "$one"/*; fi
    for f; do
        [ -e "$f" ] || { echo "ls: \`$p': No such file or directory" >&2; bad=1; continue; }
        kind=-; [ ! -d "$f" ] || kind=d
        echo "${kind}rw-r--r--   1 spark group $(stat -c %s "$f")" \
            "$(date -r "$f" '+%Y-%m-%d %H:%M') hdfs://head:9000${f#"$FAKE_STATE/dfs"}"
    done; done; exit $bad;;
-rm) for p; do rm -rf $(here "$p"); done;;
-rmdir) lenient=; case $1 in --*) lenient=$1; shift;; esac
    missing "$1"
    rmdir $lenient "$(here "$1")" 2>/dev/null ||
        { echo "rmdir: \`$1': Directory is not empty" >&2; exit 1; };;
-count) for f in $(here "$1"); do
    [ -e "$f" ] || { echo "count: \`$1': No such file or directory" >&2; exit 1; }
    echo "$(find "$f" -type d | wc -l) $(find "$f" -type f | wc -l) $(du -sb "$f" | cut -f1)" \
        "hdfs://head:9000${f#"$FAKE_STATE/dfs"}"; done;;
-mv) mv "$(here "$1")" "$(here "$2")";;
-get) missing "$1"; cp -r "$(here "$1")" "$2";;
-put) if [ "$1" = - ]; then cat >"$(here "$2")"; else
      for last; do :; done; for p; do [ "$p" = "$last" ] || cp -r "$p" "$(here "$last")"; done; fi;;
esac
"""
"""A stand-in for `hdfs dfs …` that keeps its files in a folder: `node.fake("hdfs", HDFS)`."""


_ALL = "/proc/[0-9]*/environ"
"""Files that a node's scripts read to find the processes of a job."""


class LocalNode:
    """A `Remote`: scripts run under `sh` in a scratch folder, with the stand-ins first on PATH.

    Of this machine's processes, scripts find those alone that the node has started, by their environment:
    a job of a real cluster on it may have the id of one here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        (folder / "state/systemd").mkdir(parents=True)
        self.node = Node(name="head", address="10.9.8.10", host_key=host_key("head"))
        self.variables = {"FAKE_STATE": f"{folder}/state"}
        """In the environment of all its processes."""
        self.scripts: list[str] = []
        for name, script in _FAKES.items():
            self.fake(name, script)

    def fake(self, name: str, script: str) -> Path:
        """Put a stand-in on the node's PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)
        return path

    def run(
        self, script: str, *, check: bool = True, timeout: float | None = None, on_line: OnLine | None = None
    ) -> Result:
        """See `Remote.run`."""
        self.scripts.append(script)
        script = self._here(script)
        env = self._env
        done = subprocess.run(
            ["sh", "-s"], input=script, capture_output=True, text=True, timeout=timeout, env=env, check=False
        )
        if on_line is not None:
            for line in (done.stdout + done.stderr).splitlines():
                on_line(line)
        result = Result(done.returncode, done.stdout, done.stderr)
        if check and not result.ok:
            raise CommandFailed(
                "head", result.tail, "Mend it.", exit_code=result.exit_code, output=result.tail
            )
        return result

    def receive(
        self, script: str, to: Path, *, timeout: float | None = None, moved: Moved | None = None
    ) -> Result:
        """See `Remote.receive`."""
        words = ["sh", "-c", self._here(script)]
        done = subprocess.run(words, capture_output=True, env=self._env, check=False)
        if done.returncode == 0:
            to.write_bytes(done.stdout)
            if moved is not None:
                moved(len(done.stdout), len(done.stdout))
        return Result(done.returncode, "", done.stderr.decode())

    def send(
        self, source: Path, script: str, *, timeout: float | None = None, moved: Moved | None = None
    ) -> Result:
        """See `Remote.send`."""
        copy = shutil.copyfile(source, self.folder / "uploaded")
        return self.run(f"set -e; file={copy}; trap 'rm -f {copy}' EXIT\n(\n{script}\n)", check=False)

    def started(self, script: str) -> subprocess.Popen[str]:
        """Start a script, and return without waiting for its end; nobody reads what it writes."""
        pipe = subprocess.PIPE
        shell = subprocess.Popen(["sh", "-s"], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=self._env)
        assert shell.stdin is not None
        shell.stdin.write(self._here(script))
        shell.stdin.close()
        return shell

    @property
    def _env(self) -> dict[str, str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, **self.variables}

    def _here(self, script: str) -> str:
        """A script with the places of a node moved into the scratch folder."""
        script = script.replace(paths.HDFS, str(self.bin / "hdfs")).replace(paths.PROFILE, "/nonexistent")
        own = f"$(grep -lzxF FAKE_STATE={self.variables['FAKE_STATE']} {_ALL} 2>/dev/null)"
        script = script.replace(_ALL, f"{own} /dev/null")
        script = script.replace(restarts.UNITS, f"{self.folder}/state/systemd")
        return script.replace(paths.RUN, f"{self.folder}/state/run")

    def put(self, data: bytes | Path, path: str, *, mode: int = 0o644) -> None:
        """See `Remote.put`."""
        to = Path(path)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(data.read_bytes() if isinstance(data, Path) else data)
        to.chmod(mode)

    def get(self, path: str, to: Path, *, user: str = "root") -> None:
        """See `Remote.get`."""
        if not Path(path).is_file():
            raise CommandFailed("head", f"no file {path}", "Name one that exists.")
        shutil.copyfile(path, to)
