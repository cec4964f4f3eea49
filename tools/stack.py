"""The dev stack, made and selected once: `pulumi up --stack dev` and `pulumi destroy` work as typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.environment import DEV, keeps_its_own_state, selected_stack

STACK_FILE = "Pulumi.dev.yaml"
FILTER = "filter.pulumi-salt"
STRIP_SALT = "sed -e '/^encryptionsalt:/d'"
TIMEOUT_S = 60


def ensure(root: Path, environment: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Makes the dev stack unless it is there, and selects it unless another one is. Returns what it found.

    Another backend than the project's own may be out of reach, or closed to us: this is told, no more.
    """
    keep_git_clean(root)
    selected = selected_stack(root, environment)
    if keeps_its_own_state(given) and selected and _is_stored(root):
        return f"{selected} selected"
    asked = _pulumi(root, environment, "stack", "ls", "--json")
    if asked is None or asked.returncode:
        said = asked.stderr.strip().splitlines()[-1:] if asked else ["no answer"]
        return f"unknown: {environment['PULUMI_BACKEND_URL']} says: {' '.join(said)}"
    known = json.loads(asked.stdout)
    current = next((stack["name"] for stack in known if stack["current"]), None)
    if DEV not in [stack["name"] for stack in known]:
        made = _pulumi(root, environment, "stack", "init", DEV, *(["--no-select"] if current else []))
        if made is None or made.returncode:
            return f"{DEV} could not be made: {made.stderr.strip() if made else 'no answer'}"
        refresh_index(root)
        return f"{current} selected, {DEV} made" if current else f"{DEV} made and selected"
    if current is None:
        _pulumi(root, environment, "stack", "select", DEV)
        return f"{DEV} selected"
    return f"{current} selected"


def keep_git_clean(root: Path) -> None:
    """Lets git leave out the dev stack's salt, which the engine writes into its committed file.

    The salt belongs to one checkout's passphrase: committed, it would lock everyone else out. .gitattributes
    names the filter; git wants its command in the checkout's own settings. The state holds the salt as well.
    """
    if not (root / ".git").exists() or _git(root, "config", "--get", f"{FILTER}.clean") == STRIP_SALT:
        return
    _git(root, "config", f"{FILTER}.clean", STRIP_SALT)


def refresh_index(root: Path) -> None:
    """Tells git the size of the stack file with its salt, if what it would commit has not changed.

    git takes a file for modified by its size, before it asks any filter.
    """
    filtered = _git(root, "hash-object", f"--path={STACK_FILE}", STACK_FILE)
    if filtered and filtered == _git(root, "rev-parse", "--verify", "-q", f":{STACK_FILE}"):
        _git(root, "add", STACK_FILE)


def _is_stored(root: Path) -> bool:
    stacks = root / ".state" / "pulumi" / ".pulumi" / "stacks"
    return any(stacks.glob(f"*/{DEV}.json"))


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None when it fails or is not there."""
    try:
        asked = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def _pulumi(
    root: Path, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=root,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
