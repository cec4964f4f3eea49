"""Engine flags that a container with systemd needs on this host.

Found by trial: a container that runs `true` is started until it works, and each error leads to a flag. The
result is cached per boot and engine.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bootstrap.aside import replacing
from infra.local.boot import boot_flags
from infra.local.cache import cache_folder, locked
from infra.local.engine import Engine, EngineError
from infra.provider import say

UNLIMITED: Final = 1048576
"""Replaces `unlimited` where the engine needs a number: the kernel's own limit of open files."""
MIN_LIMIT: Final = 1024
"""Open files or processes that a node needs at least."""
HELD: Final = ("--memory=512m", "--cpus=1")
# crun reports the limit's name, runc its number in Linux
_LIMITS: Final = (
    (r"RLIMIT_NOFILE|rlimit type 7\b", "nofile", resource.RLIMIT_NOFILE),
    (r"RLIMIT_NPROC|rlimit type 6\b", "nproc", resource.RLIMIT_NPROC),
)
NAME: Final = "caffe-spark-probe"
SBIN: Final = "/usr/sbin:/sbin"

Attempt = Callable[[Sequence[str]], str | None]
"""Tries a container with these flags; returns None on success, else the engine's error."""


@dataclass(frozen=True)
class Findings:
    """Flags that are needed, and why."""

    arguments: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    limits: bool = True
    """True if the engine can limit CPUs and memory."""

    def __str__(self) -> str:
        if not self.reasons:
            return "no special flags needed here"
        return "; ".join(self.reasons)


def search(attempt: Attempt, limit: Callable[[int], int], runc: str | None) -> Findings:
    """Add flags until a container runs. Pure except for `attempt`.

    `limit` returns the hard value of a resource limit; `runc` is that runtime's path, if installed.

    Raises:
        EngineError: an error that no flag avoids.
    """
    flags: dict[str, tuple[str, str]] = {}
    values: dict[str, int] = {}
    limits = True
    while True:
        arguments = [f"{name}={value}" for name, (value, _) in flags.items()]
        refusal = attempt([*arguments, *(HELD if limits else ())])
        if refusal is None:
            reasons = [f"{flag} ({why})" for flag, (_, why) in zip(arguments, flags.values(), strict=True)]
            if not limits:
                reasons.append("no CPU and memory limits (the host's control groups refuse them)")
            return Findings(tuple(arguments), tuple(reasons), limits)
        refused = next((entry for entry in _LIMITS if re.search(entry[0], refusal)), None)
        if refused and values.get(refused[1], MIN_LIMIT + 1) > MIN_LIMIT:
            _, name, number = refused
            # An engine may have a lower hard limit of its own: then try half of it, and so on.
            values[name] = values[name] // 2 if name in values else limit(number)
            flags[f"--ulimit={name}"] = (
                f"{values[name]}:{values[name]}",
                "the host does not allow raising it",
            )
        elif "hybrid mode" in refusal and runc and "--runtime" not in flags:
            flags["--runtime"] = (runc, "crun does not run where control groups are in hybrid mode")
        elif limits and not refused and "hybrid mode" not in refusal:
            limits = False
        else:
            last = (
                refusal.strip().splitlines()[-1].removeprefix("Error: ") if refusal.strip() else "no reason"
            )
            otherwise = "Fix the cause above, then rerun the command."
            fix = "Run `sudo apt-get install -y runc`." if "hybrid mode" in refusal else otherwise
            raise EngineError("a container that boots systemd", last, fix, output=refusal)


def find(engine: Engine, image: str) -> Findings:
    """Return the flags for this host, from the cache if they have been found since boot.

    Raises:
        EngineError: no container can run here.
    """
    with locked("probe"):
        remembered = cache_folder() / f"probe-{_key(engine)}.json"
        if remembered.is_file():
            known = json.loads(remembered.read_text())
            return Findings(tuple(known["arguments"]), tuple(known["reasons"]), known["limits"])
        found = search(
            lambda flags: _attempt(engine, image, flags),
            _hard_limit,
            shutil.which("runc", path=f"{os.environ.get('PATH', '')}:{SBIN}"),
        )
        say(f"{engine.kind} on this host: {found}.")
        with replacing(remembered) as new:
            new.write_text(json.dumps(asdict(found)))
        return found


def _attempt(engine: Engine, image: str, flags: Sequence[str]) -> str | None:
    try:
        engine.run("run", f"--name={NAME}", *boot_flags(engine, NAME), *flags, image, "true")
    except EngineError as error:
        return error.output or error.why
    finally:
        engine.remove_containers(NAME)
    return None


def _hard_limit(which: int) -> int:
    hard = resource.getrlimit(which)[1]
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def _key(engine: Engine) -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # A limit lowered in this shell requires other flags.
    return f"{engine.kind}-{engine.version()}-{_hard_limit(resource.RLIMIT_NOFILE)}-{boot}"
