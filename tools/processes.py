"""Programs that tools start, and their end: at a limit, when another part of the set-up fails, at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

KILL_GRACE_S = 10.0
"""Between SIGTERM and SIGKILL."""
LOOK_S = 0.05
"""Between two looks whether all have ended."""
END_SEEN_S = 0.3
"""Between the end of a program by Ctrl-C, which reaches all of them, and `Programs.end`."""


class Stopped(Exception):
    """Work that was ended because another part failed, or the user stopped the command."""


class Programs:
    """Programs that run now; `end` ends them, and lets no other start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen[str], bool] = {}
        self._over = threading.Event()

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        errors: int | IO[str] = subprocess.STDOUT,
        whole: bool = False,
    ) -> subprocess.Popen[str]:
        """Start a program without input; `whole`: `end` lets it come to its own end.

        Raises:
            Stopped: `end` has been called.
            OSError: the program cannot be started.
        """
        with self._lock:
            if self._over.is_set():
                raise Stopped
            process = subprocess.Popen(
                argv,
                env=None if env is None else dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
            )
            self._running[process] = whole
        return process

    def ended(self, process: subprocess.Popen[str]) -> None:
        """Note that a program has ended.

        Raises:
            Stopped: it failed because it was ended from here, or by Ctrl-C.
        """
        with self._lock:
            self._running.pop(process, None)
        if process.returncode and self._over.wait(END_SEEN_S):
            raise Stopped

    def check(self) -> None:
        """Raise Stopped if `end` has been called."""
        if self._over.is_set():
            raise Stopped

    def end(self) -> None:
        """End all programs that may be interrupted, and what they have started; let no other start."""
        self._over.set()
        with self._lock:
            processes = [process for process, whole in self._running.items() if not whole]
        ends = [threading.Thread(target=end, args=(process, threading.Event())) for process in processes]
        for thread in ends:
            thread.start()
        for thread in ends:
            thread.join()

    def ready(self) -> None:
        """Let programs start again."""
        self._over.clear()

    def ask(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        limit: float,
    ) -> subprocess.CompletedProcess[str]:
        """Return the result and the output of a short program.

        Raises:
            Stopped: it was ended from here.
            OSError: the program cannot be started.
            subprocess.TimeoutExpired: it did not end within `limit` seconds.
        """
        with self.start(argv, env=env, cwd=cwd, errors=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(timeout=limit)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                self.ended(process)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)


programs = Programs()
"""Those of this process."""


class Limit:
    """Limit on a running program and what it has started: it is ended after `seconds`."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self._process, self._seconds = process, seconds
        self._over = threading.Event()
        self.passed = False

    def __enter__(self) -> Limit:
        threading.Thread(target=self._wait, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _wait(self) -> None:
        if not self._over.wait(self._seconds):
            self.passed = True
            end(self._process, self._over)


def end(process: subprocess.Popen[str], over: threading.Event) -> None:
    """End a program with what it has started: SIGTERM, then SIGKILL unless `over` is set, or all are gone.

    Its children too: one that keeps the output open would be read from for ever. They have no group of their
    own, in which they would get no Ctrl-C, and sudo would ask for a password again.
    """
    found: list[int] = []
    for number, grace in ((signal.SIGTERM, KILL_GRACE_S), (signal.SIGKILL, 0.0)):
        # Those of the first look too: an orphan is nobody's child any more.
        found = list(dict.fromkeys([*found, *family(process.pid)]))
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace
        while not over.wait(LOOK_S) and time.monotonic() < deadline:
            if not any(alive(pid) for pid in found):
                return
        if over.is_set():
            return


def family(pid: int) -> list[int]:
    """Return a process and its descendants; alone where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def alive(pid: int) -> bool:
    """Return True while a process runs; one that has ended and is not yet waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except PermissionError:
        return True
    except FileNotFoundError:
        # Without /proc a zombie counts as running: the grace passes.
        return not Path("/proc/self").exists()
    except ProcessLookupError:
        return False
