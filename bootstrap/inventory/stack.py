"""The stack that a command works on, and its declared cluster, read through the Pulumi CLI."""

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
PATIENCE = 300.0
"""Seconds for a command of the CLI that only reads a stack; its backend may be far away, or gone."""
SET_UP = "Run `make setup`, then `. ./activate`."


def load_cluster(
    root: Path, stack: str | None = None, env: Mapping[str, str] | None = None
) -> ClusterDocument:
    """Return the declared cluster of the named stack, else of the selected stack, else of `dev`.

    Args:
        root: the folder of Pulumi.yaml.
        stack: a stack name, as `pulumi --stack` takes it.
        env: the environment for the CLI (backend, passphrase, PATH); this process's by default.

    Raises:
        StackError: there is no CLI, no such stack, no valid `cluster` output, or the passphrase is wrong.
    """
    env = dict(os.environ if env is None else env)
    name = stack or selected_stack(root, env)
    return ClusterDocument.from_outputs(name, outputs(root, name, env))


def selected_stack(root: Path, env: Mapping[str, str]) -> str:
    """Return the stack selected with `pulumi stack select`, else `dev`.

    Raises:
        StackError: there is no Pulumi CLI.
    """
    shown = _pulumi(root, env, "stack", "--show-name")
    return shown.stdout.strip() if shown.returncode == 0 and shown.stdout.strip() else DEFAULT_STACK


def stacks_up(root: Path, env: Mapping[str, str]) -> set[str]:
    """Return the names of stacks whose state has resources.

    Raises:
        StackError: there is no Pulumi CLI, or the backend cannot be read.
    """
    listed = _pulumi(root, env, "stack", "ls", "--json")
    if listed.returncode != 0:
        reason = _last_line(listed.stderr)
        raise StackError("the stacks' states", f"pulumi cannot list them: {reason}", "Run `pulumi stack ls`.")
    return {entry["name"] for entry in json.loads(listed.stdout) if entry.get("resourceCount")}


def outputs(root: Path, stack: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Return all outputs of a stack, with secrets in clear text, in memory only.

    Raises:
        StackError: the CLI failed; its error, translated.
    """
    shown = _pulumi(root, env, "stack", "output", "--json", "--show-secrets", "--stack", stack)
    if shown.returncode != 0:
        raise _translated(root, stack, env, shown.stderr)
    values: dict[str, Any] = json.loads(shown.stdout or "{}")
    return values


def _translated(root: Path, stack: str, env: Mapping[str, str], stderr: str) -> StackError:
    given = f"stack {stack!r}"
    if "no stack named" in stderr or "not found" in stderr:
        listed = _pulumi(root, env, "stack", "ls", "--json")
        names = [entry["name"] for entry in json.loads(listed.stdout)] if listed.returncode == 0 else []
        existing = f"there are: {', '.join(names)}" if names else "there is none yet"
        up = f"Run `pulumi up --stack {stack}`."
        return StackError(given, f"there is no stack of that name ({existing})", up)
    if "unable to read PULUMI_CONFIG_PASSPHRASE_FILE" in stderr:
        return StackError(
            given,
            f"the file of its passphrase cannot be read: {_last_line(stderr).rpartition('_FILE: ')[2]}",
            "Set PULUMI_CONFIG_PASSPHRASE_FILE to the file with the passphrase that it was created with.",
        )
    if "currently locked" in stderr:
        return StackError(
            given,
            "another pulumi command works on it, or was killed before it could end",
            f"Wait for its end; if none runs, run `pulumi cancel --stack {stack}`, then rerun it.",
        )
    if "passphrase" in stderr:
        return StackError(
            given,
            "its secrets do not open with this passphrase",
            "Set PULUMI_CONFIG_PASSPHRASE (or _FILE) to the passphrase that it was created with.",
        )
    reason = _last_line(stderr)
    return StackError(given, f"pulumi cannot read it: {reason}", f"Run `pulumi stack --stack {stack}`.")


def _last_line(stderr: str) -> str:
    return stderr.strip().splitlines()[-1] if stderr.strip() else "pulumi printed no error"


def _pulumi(root: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["pulumi", *arguments, "--cwd", str(root), "--non-interactive"]
    try:
        return subprocess.run(
            command,
            env=dict(env),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"`pulumi {' '.join(arguments[:2])}`",
            f"it did not end within {PATIENCE:.0f} s",
            "Run `pulumi whoami -v`, which names its backend; rerun the command when that can be reached.",
        ) from error
    except FileNotFoundError as error:
        raise StackError("pulumi", "the Pulumi CLI is not on PATH", SET_UP) from error
