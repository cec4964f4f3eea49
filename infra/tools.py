"""What this machine needs beside Python, whatever the cloud: Pulumi and its plugin; how a tool is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from typing import Final

from bootstrap.errors import ConfigError
from infra.finding import Finding, LocalCheck

PULUMI: Final = "Pulumi"
TIMEOUT: Final = 20.0


def checks(plugin: str, package: str, env: Mapping[str, str]) -> list[LocalCheck]:
    """Pulumi, and its plugin of that name in the version of the Python package; `env` has the PATH."""
    name = f"Pulumi's {plugin} plugin"
    return [
        LocalCheck(PULUMI, lambda: _pulumi(env)),
        LocalCheck(name, lambda: _plugin(name, plugin, package, env)),
    ]


def _pulumi(env: Mapping[str, str]) -> Finding:
    said = say(["pulumi", "version"], "Run `make setup`, then `. ./activate`.", env)
    return Finding(PULUMI, "holds", said)


def _plugin(name: str, plugin: str, package: str, env: Mapping[str, str]) -> Finding:
    try:
        wanted = metadata.version(package)
    except metadata.PackageNotFoundError:
        why = f"the package {package} is not installed in this environment"
        return Finding(name, "fails", why, "Run `make setup`.")
    if shutil.which("pulumi", path=env.get("PATH")) is None:
        return Finding(name, "skipped", "there is no pulumi to ask")
    said = say(["pulumi", "plugin", "ls", "--json"], "Run `pulumi plugin ls`.", env)
    there = [
        str(one.get("version", ""))
        for one in json.loads(said)
        if one.get("name") == plugin and one.get("kind") == "resource"
    ]
    if wanted in there:
        return Finding(name, "holds", wanted)
    others = f" (there: {', '.join(there)})" if there else ""
    return Finding(
        name,
        "note",
        f"{wanted} is not here yet{others}; `pulumi up` fetches it, which takes a minute",
        f"To have it before: `pulumi plugin install resource {plugin} v{wanted}`.",
    )


def say(command: list[str], mend: str, env: Mapping[str, str]) -> str:
    """What a command prints.

    Raises:
        ConfigError: it is not on PATH, does not end, or fails.
    """
    program = shutil.which(command[0], path=env.get("PATH"))
    if program is None:
        raise ConfigError(command[0], f"`{command[0]}` is not on PATH", mend)
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
        raise ConfigError(command[0], f"`{asked}`: {why}", mend) from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        raise ConfigError(command[0], f"`{asked}` fails: {lines[-1]}", mend)
    return done.stdout.strip()
