"""Secrets of a stack, in memory only: for masking."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bootstrap.errors import StackError
from bootstrap.inventory.stack import ask, ask_of_stack

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of one
"""Mark of a secret in the state: https://www.pulumi.com/docs/iac/concepts/secrets/ (read 2026-11-30), and
`sdk/go/common/resource/sig` of the engine."""


def passphrase(env: Mapping[str, str]) -> str:
    """Return the passphrase of the environment; empty without one."""
    if env.get("PULUMI_CONFIG_PASSPHRASE"):
        return env["PULUMI_CONFIG_PASSPHRASE"]
    try:
        return Path(env.get("PULUMI_CONFIG_PASSPHRASE_FILE") or "/dev/null").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def stack_secrets(root: Path, stack: str, env: Mapping[str, str]) -> list[Any]:
    """Return the values of all secrets of a stack: of its state, its outputs included, and of its settings.

    Raises:
        StackError: there is no such stack, or its secrets do not open.
    """
    state = json.loads(ask_of_stack(root, stack, env, "stack", "export", "--show-secrets", "--stack", stack))
    found = list(marked(state))
    shown = ask(root, env, "config", "--json", "--show-secrets", "--stack", stack)
    if shown.returncode != 0:
        raise StackError(
            f"stack {stack!r}", "pulumi cannot read its settings", f"Run `pulumi config --stack {stack}`."
        )
    settings = json.loads(shown.stdout or "{}")
    found += [entry.get("value", "") for entry in settings.values() if entry.get("secret")]
    return found


def marked(state: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
    """Return the clear text of every secret in an exported state. Pure."""
    if isinstance(state, dict):
        if state.get(_SIGNATURE) == _SECRET:
            text = state.get("plaintext")
            if isinstance(text, str):
                yield json.loads(text)
            return
        for inner in state.values():
            yield from marked(inner)
    elif isinstance(state, list):
        for inner in state:
            yield from marked(inner)
