"""The stack that a command works on, and its declared cluster, read through the Pulumi CLI."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.errors import StackError
from tools import environment

if TYPE_CHECKING:
    from bootstrap.cluster import ClusterDocument

DEFAULT_STACK = "dev"
PATIENCE = 300.0
"""Seconds for a command of the CLI that only reads a stack; its backend may be far away, or gone."""
SET_UP = "Run `make setup`, then `. ./activate`."


class Reading:
    """Reading of a stack's declared cluster: the Pulumi CLI runs from the start, for half a second.

    The stack is the named one, else the selected one, else `dev`.

    Args:
        root: the folder of Pulumi.yaml.
        stack: a stack name, as `pulumi --stack` takes it.
        env: the environment for the CLI (backend, passphrase, PATH); this process's by default.

    Raises:
        StackError: there is no CLI.
    """

    def __init__(self, root: Path, stack: str | None = None, env: Mapping[str, str] | None = None) -> None:
        self._root, self._env = root, dict(os.environ if env is None else env)
        self._recorded = None if stack else _recorded(root, self._env)
        self._name = stack or self._recorded or selected_stack(root, self._env)
        self._running = _Cli(root, self._env, *_output(self._name))

    def document(self) -> ClusterDocument:
        """Return the declared cluster.

        Raises:
            StackError: there is no such stack, no valid `cluster` output, or the passphrase is wrong.
        """
        # Its models take a tenth of a second to import, while the CLI runs.
        from bootstrap.cluster import ClusterDocument

        shown = self._running.ended()
        if shown.returncode != 0 and self._recorded and _unknown(shown.stderr):
            # The record is older than the stack's removal: only the CLI knows which one counts then.
            self._recorded, self._name = None, selected_stack(self._root, self._env)
            shown = ask(self._root, self._env, *_output(self._name))
        values = _values(self._root, self._name, self._env, shown)
        return ClusterDocument.from_outputs(self._name, values)


def load_cluster(
    root: Path, stack: str | None = None, env: Mapping[str, str] | None = None
) -> ClusterDocument:
    """Return the declared cluster of a stack; arguments and errors as of `Reading`."""
    return Reading(root, stack, env).document()


def selected_stack(root: Path, env: Mapping[str, str]) -> str:
    """Return the stack selected with `pulumi stack select`, else `dev`.

    Raises:
        StackError: there is no Pulumi CLI.
    """
    shown = ask(root, env, "stack", "--show-name")
    return shown.stdout.strip() if shown.returncode == 0 and shown.stdout.strip() else DEFAULT_STACK


def _recorded(root: Path, env: Mapping[str, str]) -> str | None:
    """Return the selected stack by Pulumi's record, without its CLI; None where that has to be asked."""
    return None if env.get("PULUMI_STACK") else environment.selected_stack(root, env)


def stacks_up(root: Path, env: Mapping[str, str]) -> set[str]:
    """Return the names of stacks whose state has resources.

    Raises:
        StackError: there is no Pulumi CLI, or the backend cannot be read.
    """
    listed = ask(root, env, "stack", "ls", "--json")
    if listed.returncode != 0:
        reason = _last_line(listed.stderr)
        raise StackError("the stacks' states", f"pulumi cannot list them: {reason}", "Run `pulumi stack ls`.")
    return {entry["name"] for entry in json.loads(listed.stdout) if entry.get("resourceCount")}


def _output(stack: str) -> tuple[str, ...]:
    return "stack", "output", "--json", "--show-secrets", "--stack", stack


def ask_of_stack(root: Path, stack: str, env: Mapping[str, str], *arguments: str) -> str:
    """Return the output of a command of the CLI about a stack.

    Raises:
        StackError: there is no such stack, its secrets do not open, or its backend cannot be read.
    """
    shown = ask(root, env, *arguments)
    if shown.returncode != 0:
        raise _translated(root, stack, env, shown.stderr)
    return shown.stdout


def _values(
    root: Path, stack: str, env: Mapping[str, str], shown: subprocess.CompletedProcess[str]
) -> dict[str, Any]:
    """Return all outputs of a stack, with secrets in clear text, in memory only."""
    if shown.returncode != 0:
        raise _translated(root, stack, env, shown.stderr)
    values: dict[str, Any] = json.loads(shown.stdout or "{}")
    return values


def _unknown(stderr: str) -> bool:
    return "no stack named" in stderr or "not found" in stderr


def _translated(root: Path, stack: str, env: Mapping[str, str], stderr: str) -> StackError:
    given = f"stack {stack!r}"
    if _unknown(stderr):
        listed = ask(root, env, "stack", "ls", "--json")
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
    if "passphrase must be set" in stderr:
        return StackError(
            given,
            "its secrets open with a passphrase, and none is set",
            "Set PULUMI_CONFIG_PASSPHRASE (or _FILE) to the passphrase that it was created with.",
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


def ask(root: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the CLI that only reads, and return its status and output.

    Raises:
        StackError: there is no CLI, or it did not end in time.
    """
    return _Cli(root, env, *arguments).ended()


class _Cli:
    """A command of the CLI that runs."""

    def __init__(self, root: Path, env: Mapping[str, str], *arguments: str) -> None:
        self._arguments = arguments
        try:
            self._process = subprocess.Popen(
                ["pulumi", *arguments, "--cwd", str(root), "--non-interactive"],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except FileNotFoundError as error:
            raise StackError("pulumi", "the Pulumi CLI is not on PATH", SET_UP) from error

    def ended(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; return what it printed.

        Raises:
            StackError: it did not end within PATIENCE seconds.
        """
        try:
            out, err = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.communicate()
            raise StackError(
                f"`pulumi {' '.join(self._arguments[:2])}`",
                f"it did not end within {PATIENCE:.0f} s",
                "Run `pulumi whoami -v`, which names its backend; rerun this when that can be reached.",
            ) from error
        return subprocess.CompletedProcess(self._arguments, self._process.returncode, out, err)
