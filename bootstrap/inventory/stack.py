"""The stack that a command works on, and its declared cluster: read by the Pulumi CLI alone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bootstrap.cluster import ClusterDocument
from bootstrap.errors import StackError

DEFAULT_STACK = "dev"
SET_UP = "Run `make setup`, then `. ./activate`."


def load_cluster(
    root: Path, stack: str | None = None, env: Mapping[str, str] | None = None
) -> ClusterDocument:
    """The declared cluster of the stack given, else of the selected stack, else of `dev`.

    Args:
        root: the folder of Pulumi.yaml.
        stack: a stack's name as `pulumi --stack` takes it.
        env: the environment for the CLI (backend, passphrase, PATH); this process's by default.

    Raises:
        StackError: no CLI, no such stack, a wrong passphrase, or no usable `cluster` output.
    """
    env = dict(os.environ if env is None else env)
    name = stack or selected_stack(root, env)
    return ClusterDocument.from_outputs(name, outputs(root, name, env))


def selected_stack(root: Path, env: Mapping[str, str]) -> str:
    """The stack selected with `pulumi stack select`, else `dev`.

    Raises:
        StackError: there is no Pulumi CLI.
    """
    shown = _pulumi(root, env, "stack", "--show-name")
    return shown.stdout.strip() if shown.returncode == 0 and shown.stdout.strip() else DEFAULT_STACK


def stacks_up(root: Path, env: Mapping[str, str]) -> set[str]:
    """The stacks that have resources, going by their state.

    Raises:
        StackError: there is no Pulumi CLI, or the backend cannot be read.
    """
    listed = _pulumi(root, env, "stack", "ls", "--json")
    if listed.returncode != 0:
        said = listed.stderr.strip().splitlines()[-1:] or ["pulumi said nothing"]
        raise StackError(
            "the stacks' states", f"pulumi cannot list them: {said[0]}", "Run `pulumi stack ls`."
        )
    return {entry["name"] for entry in json.loads(listed.stdout) if entry.get("resourceCount")}


def outputs(root: Path, stack: str, env: Mapping[str, str]) -> dict[str, Any]:
    """All outputs of a stack, secrets in clear text: they go to memory only.

    Raises:
        StackError: as the CLI reports it, in our words.
    """
    got = _pulumi(root, env, "stack", "output", "--json", "--show-secrets", "--stack", stack)
    if got.returncode != 0:
        raise _refused(root, stack, env, got.stderr)
    found: dict[str, Any] = json.loads(got.stdout or "{}")
    return found


def _refused(root: Path, stack: str, env: Mapping[str, str], said: str) -> StackError:
    given = f"stack {stack!r}"
    if "no stack named" in said or "not found" in said:
        listed = _pulumi(root, env, "stack", "ls", "--json")
        names = [entry["name"] for entry in json.loads(listed.stdout)] if listed.returncode == 0 else []
        there = f"there are: {', '.join(names)}" if names else "there is none yet"
        up = f"Run `pulumi up --stack {stack}`."
        return StackError(given, f"there is no stack of that name ({there})", up)
    if "passphrase" in said:
        return StackError(
            given,
            "its secrets do not open with this passphrase",
            "Set PULUMI_CONFIG_PASSPHRASE (or _FILE) to the one it was made with.",
        )
    last = said.strip().splitlines()[-1] if said.strip() else "pulumi said nothing"
    return StackError(given, f"pulumi cannot read it: {last}", f"Run `pulumi stack --stack {stack}`.")


def _pulumi(root: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["pulumi", *arguments, "--cwd", str(root), "--non-interactive"]
    try:
        return subprocess.run(
            command, env=dict(env), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise StackError("pulumi", "the Pulumi CLI is not on PATH", SET_UP) from error
