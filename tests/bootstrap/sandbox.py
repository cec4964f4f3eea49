"""A node that is this machine's own `sh` and a scratch folder: for unit tests of what nodes run."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import CommandFailed, Unreachable
from bootstrap.ssh.remote import TIMED_OUT, Moved, OnLine, Result

MOVED = ("/run/caffe-spark", "/var/lib/caffe-spark", "/etc/systemd/system", "/etc/apt", "/etc/os-release")
"""Paths that scripts name themselves; in a sandbox they lie below its folder."""


class Sandbox:
    """A `Remote`: scripts run under `sh`; `fakes` are first on PATH and note their calls in `calls`."""

    def __init__(self, box: Path, node: Node, fakes: Mapping[str, str] | None = None) -> None:
        self.box, self.node, self.trips = box, node, 0
        self.scripts: list[str] = []
        (box / "bin").mkdir(parents=True, exist_ok=True)
        for parent in ("run", "var/lib", "etc"):
            (box / parent).mkdir(parents=True, exist_ok=True)
        (box / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
        for name, script in (fakes or {}).items():
            path = box / "bin" / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >>{box}/calls\n{self.fill(script)}')
            path.chmod(0o755)

    def fill(self, text: str) -> str:
        """`text` with the sandbox's folder and the user who runs the tests."""
        me = pwd.getpwnam(getpass.getuser())
        for name, value in (("{box}", str(self.box)), ("{me}", me.pw_name), ("{home}", me.pw_dir)):
            text = text.replace(name, value)
        return text

    def run(
        self, script: str, *, check: bool = True, timeout: float | None = None, on_line: OnLine | None = None
    ) -> Result:
        """See `Remote.run`; streams as the real one does."""
        self.trips += 1
        self.scripts.append(script)
        for path in MOVED:
            script = re.sub(f"(?<!{re.escape(str(self.box))}){path}", f"{self.box}{path}", script)
        path = f"{self.box}/bin:{os.environ['PATH']}"
        script = script.replace("PATH=/usr/local/sbin", f"PATH={self.box}/bin:/usr/local/sbin")
        process = subprocess.Popen(
            ["sh", "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )
        assert process.stdin and process.stdout and process.stderr
        streams: list[list[str]] = [[], []]

        def drain(stream: Iterator[str], into: list[str]) -> None:
            for line in stream:
                into.append(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))

        readers = [
            threading.Thread(target=drain, args=pair, daemon=True)
            for pair in zip((process.stdout, process.stderr), streams, strict=True)
        ]
        for reader in readers:
            reader.start()
        process.stdin.write(script)
        process.stdin.close()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            code = TIMED_OUT
        for reader in readers:
            reader.join()
        result = Result(code, "".join(streams[0]), "".join(streams[1]))
        if check and code:
            raise CommandFailed(self.node.name, result.tail, "Mend it.", exit_code=code, output=result.tail)
        return result

    def put(self, data: bytes | Path, path: str, *, mode: int = 0o644) -> None:
        """See `Remote.put`."""
        raise NotImplementedError

    def get(self, path: str, to: Path, *, user: str = "root") -> None:
        """See `Remote.get`."""
        raise NotImplementedError

    def receive(
        self, script: str, to: Path, *, timeout: float | None = None, moved: Moved | None = None
    ) -> Result:
        """See `Remote.receive`."""
        raise NotImplementedError

    def send(
        self, source: Path, script: str, *, timeout: float | None = None, moved: Moved | None = None
    ) -> Result:
        """See `Remote.send`."""
        raise NotImplementedError


class Sandboxes:
    """A cluster of sandboxes; `connect` is what `apply` and `diagnose` take."""

    def __init__(self, root: Path, cluster: Cluster, fakes: Mapping[str, str] | None = None) -> None:
        self.nodes = {node.name: Sandbox(root / node.name, node, fakes) for node in cluster.nodes}
        self.dead: set[str] = set()

    def __getitem__(self, name: str) -> Sandbox:
        return self.nodes[name]

    @contextmanager
    def connect(self, _cluster: Cluster, node: Node) -> Iterator[Sandbox]:
        """The node's sandbox, unless it is among the dead."""
        if node.name in self.dead:
            raise Unreachable(f"{node.name} ({node.address})", "SSH does not answer", "Run `pulumi up`.")
        yield self.nodes[node.name]
