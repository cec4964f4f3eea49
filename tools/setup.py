"""`make setup`: system packages, .venv, the Pulumi CLI and the stacks; existing parts are kept.

    python -m tools.setup          for the cloud stacks, and for the dev stacks if this machine can have them
    python -m tools.setup --dev    for the dev stacks too, with their nodes' base image, or an error

Runs under any Python ≥ 3.10 without installed packages; tools/setup.sh finds or installs one. Parts that do
not need each other run at the same time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from bootstrap.errors import CaffeSparkError, ConfigError
from bootstrap.locks import take
from tools import packages, pulumi_cli, stack, venv
from tools.environment import environment, prepare, state_folder
from tools.lines import screen
from tools.parts import Parts
from tools.progress import run

ROOT = Path(__file__).resolve().parent.parent
LOWEST_FREE_GB = 6
"""Free disk required by .venv (0.9 GB) and Go's caches (4 GB) at first; nodes check their own."""

LOCK_LIMIT = 7200.0
"""Seconds to wait for another set-up, which may compile the Pulumi CLI."""
IMAGE_FIX = "Read the log, then rerun the command; `pulumi up --stack dev` builds the image too."


def set_up(root: Path, given: Mapping[str, str], *, dev: bool = False) -> None:
    """Run every part of the set-up; each prints one line.

    Args:
        dev: the dev stacks are wanted: fail where this machine cannot have them, and build their base image.

    Raises:
        CaffeSparkError: a part failed; those that have ended are kept, and the others are ended.
    """
    logs = state_folder(root) / "log"
    logs.mkdir(parents=True, exist_ok=True)
    with (state_folder(root) / "setup.lock").open("w") as lock:
        # One set-up of the checkout runs at a time.
        take(lock, "another set-up in this checkout", LOCK_LIMIT, screen.print)
        began = time.monotonic()
        _require_disk(root)
        # What the other parts download with; hardly ever missing.
        packages.ensure(["base"], logs / "packages.log")
        wanted = _for_dev_stacks(root, given, required=dev)
        with Parts() as parts:
            system = parts.start(lambda: _install(wanted, logs))
            python = parts.start(lambda: _say(".venv", venv.ensure(root, logs / "venv.log")))
            parts.start(lambda: _pulumi(root, given, parts, logs))
            if dev:
                parts.start(lambda: _base_image(root, [system, python], logs))
        screen.print(f"Set up ({time.monotonic() - began:.1f} s). Logs: {logs.relative_to(root)}")


def _for_dev_stacks(root: Path, given: Mapping[str, str], *, required: bool) -> list[str] | None:
    """Return the packages that the dev stacks still need; None where this machine cannot have them.

    Raises:
        ConfigError: it cannot, and they are `required`.
    """
    names = packages.lacking(packages.engine_groups(given))
    refused = state_folder(root) / "sudo-refused"
    try:
        if names:
            # sudo is asked before anything is drawn, and once: each refusal of it is reported to its owner.
            packages.to_root(names, ask=required or not refused.exists())
    except ConfigError as error:
        if "sudo refuses" in error.why:
            refused.touch()
        if required:
            raise
        lacking = " ".join(names)
        _say("dev stacks", f"not on this machine: they need {lacking}, and {error.why}; cloud stacks do not")
        return None
    refused.unlink(missing_ok=True)
    return names


def _install(names: list[str] | None, logs: Path) -> None:
    if names:
        packages.install(names, logs / "packages.log")
    if names is not None:
        _say("packages", f"installed {' '.join(names)}" if names else "present")


def _pulumi(root: Path, given: Mapping[str, str], parts: Parts, logs: Path) -> None:
    prepare(root, given)
    env = environment(root, given)
    _say("pulumi", pulumi_cli.ensure(root, env, logs / "pulumi.log", parts.start))
    _say("stack", stack.ensure(root, env, given))


def _base_image(root: Path, needed: Sequence[Future[None]], logs: Path) -> None:
    for part in needed:
        part.result()
    argv = [str(root / ".venv" / "bin" / "python"), "-m", "infra.local.image_ahead"]
    run("the nodes' base image", argv, log=logs / "image.log", fix=IMAGE_FIX, cwd=root)


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
    screen.print(f"  {part:12}{result}")


def main(arguments: Sequence[str] = ()) -> int:
    """Run the set-up; report an expected failure in one line with exit status 1."""
    parser = argparse.ArgumentParser(prog="sh tools/setup.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="the dev stacks too, or an error")
    options = parser.parse_args(arguments)
    try:
        set_up(ROOT, os.environ, dev=options.dev)
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Rerun `make setup` to continue.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
