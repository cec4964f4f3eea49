"""The stacks of the project's files, made once, and dev selected: `pulumi up --stack NAME` works as typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.environment import DEV, keeps_its_own_state, selected_stack

FILTER = "filter.pulumi-salt"
STRIP_SALT = "sed -e '/^encryptionsalt:/d'"
TIMEOUT_S = 60


def ensure(root: Path, environment: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Makes the stacks that have a file, unless they are there, and selects dev unless another one is.

    Returns what it found and did. Another backend than the project's own may be out of reach, or closed to
    us: this is told, no more.
    """
    keep_git_clean(root)
    wanted = stacks(root)
    selected = selected_stack(root, environment)
    if keeps_its_own_state(given) and selected and all(_is_stored(root, name) for name in wanted):
        return f"{selected} selected"
    asked = _pulumi(root, environment, "stack", "ls", "--json")
    if asked is None or asked.returncode:
        said = asked.stderr.strip().splitlines()[-1:] if asked else ["no answer"]
        return f"unknown: {environment['PULUMI_BACKEND_URL']} says: {' '.join(said)}"
    known = json.loads(asked.stdout)
    current = next((stack["name"] for stack in known if stack["current"]), None)
    missing = [name for name in wanted if name not in [stack["name"] for stack in known]]
    for name in missing:
        made = _pulumi(root, environment, "stack", "init", name, "--no-select")
        if made is None or made.returncode:
            return f"{name} could not be made: {made.stderr.strip() if made else 'no answer'}"
        refresh_index(root, _file(name))
    if current is None:
        _pulumi(root, environment, "stack", "select", DEV)
    return f"{current or DEV} selected" + (f", made: {', '.join(missing)}" if missing else "")


def stacks(root: Path) -> list[str]:
    """The stacks that have a file here; dev is always one. Those that tests make and take away are none."""
    tracked = _git(root, "ls-files", "Pulumi.*.yaml")
    files = tracked.split() if tracked is not None else [file.name for file in root.glob("Pulumi.*.yaml")]
    return sorted({DEV, *(name.removeprefix("Pulumi.").removesuffix(".yaml") for name in files)})


def keep_git_clean(root: Path) -> None:
    """Lets git leave out the stacks' salts, which the engine writes into their committed files.

    The salt belongs to one checkout's passphrase: committed, it would lock everyone else out. .gitattributes
    names the filter; git wants its command in the checkout's own settings. The state holds the salt as well.
    """
    if not (root / ".git").exists() or _git(root, "config", "--get", f"{FILTER}.clean") == STRIP_SALT:
        return
    _git(root, "config", f"{FILTER}.clean", STRIP_SALT)


def refresh_index(root: Path, file: str) -> None:
    """Tells git the size of a stack file with its salt, if what it would commit has not changed.

    git takes a file for modified by its size, before it asks any filter.
    """
    filtered = _git(root, "hash-object", f"--path={file}", file)
    if filtered and filtered == _git(root, "rev-parse", "--verify", "-q", f":{file}"):
        _git(root, "add", file)


def _file(name: str) -> str:
    return f"Pulumi.{name}.yaml"


def _is_stored(root: Path, name: str) -> bool:
    return any((root / ".state" / "pulumi" / ".pulumi" / "stacks").glob(f"*/{name}.json"))


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
