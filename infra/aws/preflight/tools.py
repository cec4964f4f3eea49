"""What this machine needs beside Python: Pulumi, its AWS plugin, and what SSH over Session Manager takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Final

from bootstrap.errors import ConfigError
from infra.aws.preflight.finding import Finding, LocalCheck

if TYPE_CHECKING:
    from infra.aws.config import AwsConfig

PULUMI: Final = "Pulumi"
PLUGIN: Final = "Pulumi's aws plugin"
CLI: Final = "AWS CLI"
SESSIONS: Final = "session-manager-plugin"
TIMEOUT: Final = 20.0

LEAST_CLI: Final = (1, 16, 12)
LEAST_SESSIONS: Final = (1, 1, 23)
"""Of https://docs.aws.amazon.com/systems-manager/latest/userguide/, session-manager-prerequisites.html and
session-manager-getting-started-enable-ssh-connections.html."""
_INSTALL: Final = {
    CLI: "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    SESSIONS: "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html",
}
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def checks(config: AwsConfig, stack: str, env: Mapping[str, str]) -> list[LocalCheck]:
    """The tools that this stack takes; `env` has the PATH on which they are looked for."""
    asked = [
        LocalCheck(PULUMI, lambda: _pulumi(env)),
        LocalCheck(PLUGIN, lambda: _plugin(env)),
    ]
    if not config.admin_cidrs:
        asked += [
            LocalCheck(CLI, lambda: _for_sessions(CLI, "aws", LEAST_CLI, stack, env)),
            LocalCheck(SESSIONS, lambda: _for_sessions(SESSIONS, SESSIONS, LEAST_SESSIONS, stack, env)),
        ]
    return asked


def _pulumi(env: Mapping[str, str]) -> Finding:
    said = _say(["pulumi", "version"], "Run `make setup`, then `. ./activate`.", env)
    return Finding(PULUMI, "holds", said)


def _plugin(env: Mapping[str, str]) -> Finding:
    try:
        wanted = metadata.version("pulumi-aws")
    except metadata.PackageNotFoundError:
        return Finding(
            PLUGIN,
            "fails",
            "the package pulumi-aws is not installed in this environment",
            "Run `make setup`.",
        )
    if shutil.which("pulumi", path=env.get("PATH")) is None:
        return Finding(PLUGIN, "skipped", "there is no pulumi to ask")
    said = _say(["pulumi", "plugin", "ls", "--json"], "Run `pulumi plugin ls`.", env)
    there = [
        str(plugin.get("version", ""))
        for plugin in json.loads(said)
        if plugin.get("name") == "aws" and plugin.get("kind") == "resource"
    ]
    if wanted in there:
        return Finding(PLUGIN, "holds", wanted)
    others = f" (there: {', '.join(there)})" if there else ""
    return Finding(
        PLUGIN,
        "note",
        f"{wanted} is not here yet{others}; `pulumi up` fetches it, which takes a minute",
        f"To have it before: `pulumi plugin install resource aws v{wanted}`.",
    )


def _for_sessions(
    name: str, command: str, least: tuple[int, int, int], stack: str, env: Mapping[str, str]
) -> Finding:
    """A tool that SSH through Session Manager takes; with adminCidrs it would not be needed."""
    mend = (
        f"Install it ({_INSTALL[name]}), or open the head's port 22 to yourself: `pulumi config set --path "
        f"'adminCidrs[0]' $(curl -s https://checkip.amazonaws.com)/32 --stack {stack}`."
    )
    said = _say([command, "--version"], mend, env)
    found = _VERSION.search(said)
    version = tuple(map(int, found.groups())) if found else least
    if version < least:
        wanted = ".".join(map(str, least))
        return Finding(name, "fails", f"{found[0] if found else said}: SSH takes {wanted} or later", mend)
    return Finding(name, "holds", found[0] if found else said)


def _say(command: list[str], mend: str, env: Mapping[str, str]) -> str:
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
