"""Query of a command-line tool on this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

from bootstrap.errors import ConfigError

TIMEOUT: Final = 30.0
"""Seconds; some tools, such as Azure's CLI, take several to start."""


def ask(command: list[str], fix: str, env: Mapping[str, str]) -> str:
    """Run a command and return its output.

    Raises:
        ConfigError: it is not on PATH, times out, or fails.
    """
    program = shutil.which(command[0], path=env.get("PATH"))
    if program is None:
        raise ConfigError(command[0], f"`{command[0]}` is not on PATH", fix)
    asked = " ".join(command)
    try:
        done = subprocess.run(
            [program, *command[1:]],
            env={**env, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"no answer within {TIMEOUT:.0f} s" if isinstance(error, subprocess.TimeoutExpired) else error
        raise ConfigError(command[0], f"`{asked}`: {why}", fix) from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        raise ConfigError(command[0], f"`{asked}` fails: {lines[-1]}", fix)
    return done.stdout.strip()
