"""`make setup`: system packages, .venv, the Pulumi CLI and the stacks; existing parts are kept.

Runs under any Python ≥ 3.10 without installed packages; tools/setup.sh finds or installs one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bootstrap.errors import CaffeSparkError, ConfigError
from bootstrap.locks import take
from tools import packages, pulumi_cli, stack, venv
from tools.environment import environment, prepare, state_folder

ROOT = Path(__file__).resolve().parent.parent
LOWEST_FREE_GB = 6
"""Free disk required by .venv (0.9 GB) and Go's caches (4 GB) at first; nodes check their own."""

LOCK_LIMIT = 7200.0
"""Seconds to wait for another set-up, which may compile the Pulumi CLI."""


def set_up(root: Path, given: Mapping[str, str]) -> None:
    """Run every part of the set-up, in order; each prints one line.

    Raises:
        CaffeSparkError: a part failed; the parts before it are kept.
    """
    logs = state_folder(root) / "log"
    logs.mkdir(parents=True, exist_ok=True)
    with (state_folder(root) / "setup.lock").open("w") as lock:
        # One set-up of the checkout runs at a time.
        take(lock, "another set-up in this checkout", LOCK_LIMIT, lambda line: print(line, flush=True))
        began = time.monotonic()
        _require_disk(root)
        added = packages.ensure(["base", *packages.engine_groups(given)], logs / "packages.log")
        _say("packages", f"installed {' '.join(added)}" if added else "present")
        _say(".venv", venv.ensure(root, logs / "venv.log"))
        prepare(root, given)
        env = environment(root, given)
        _say("pulumi", pulumi_cli.ensure(root, env, logs / "pulumi.log"))
        _say("stack", stack.ensure(root, env, given))
        print(f"Set up ({time.monotonic() - began:.1f} s). Logs: {logs.relative_to(root)}", flush=True)


def _require_disk(root: Path) -> None:
    if (root / ".venv" / "caffe-spark.json").exists():
        return
    free = os.statvfs(root)
    gigabytes = free.f_bavail * free.f_frsize / 1e9
    if gigabytes < LOWEST_FREE_GB:
        raise ConfigError(
            f"{root}: {gigabytes:.1f} GB free",
            f"setting up takes {LOWEST_FREE_GB} GB",
            "Free some disk, then rerun `make setup`.",
        )


def _say(part: str, result: str) -> None:
    print(f"  {part:10}{result}", flush=True)


def main() -> int:
    """Run the set-up; report an expected failure in one line with exit status 1."""
    try:
        set_up(ROOT, os.environ)
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Rerun `make setup` to continue.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
