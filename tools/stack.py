"""Creation of the stacks that have a file, and selection of dev, for `pulumi up --stack NAME`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.environment import DEV, is_shared, keeps_its_own_state, selected_stack

FILTER = "filter.pulumi-salt"
STRIP_SALT = "sed -e '/^encryptionsalt:/d'"
TIMEOUT_S = 60


def ensure(root: Path, environment: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Create missing stacks that have a file, and select dev unless another stack is selected.

    In a shared state, none is created: how its secrets are encrypted is the team's choice (docs/team.md), and
    clusters on this machine are nobody else's.

    Returns a description of the result. A backend other than the project's own may be unreachable or refuse
    access; this is only reported.
    """
    keep_git_clean(root)
    wanted = stacks(root)
    selected = selected_stack(root, environment)
    if keeps_its_own_state(root, given) and selected and all(_is_stored(root, name) for name in wanted):
        return f"{selected} selected"
    asked = _pulumi(root, environment, "stack", "ls", "--json")
    if asked is None or asked.returncode:
        reason = asked.stderr.strip().splitlines()[-1:] if asked else ["no answer"]
        return f"unknown: {environment['PULUMI_BACKEND_URL']}: {' '.join(reason)}"
    known = json.loads(asked.stdout)
    current = next((stack["name"] for stack in known if stack["current"]), None)
    missing = [name for name in wanted if name not in [stack["name"] for stack in known]]
    if is_shared(environment["PULUMI_BACKEND_URL"]):
        there = ", ".join(stack["name"] for stack in known) or "none yet"
        return (
            f"{current or 'none'} selected; {environment['PULUMI_BACKEND_URL']} has: {there} (docs/team.md)"
        )
    for name in missing:
        created = _pulumi(root, environment, "stack", "init", name, "--no-select")
        if created is None or created.returncode:
            return f"{name} could not be created: {created.stderr.strip() if created else 'no answer'}"
        refresh_index(root, _file(name))
    if current is None:
        _pulumi(root, environment, "stack", "select", DEV)
    return f"{current or DEV} selected" + (f", created: {', '.join(missing)}" if missing else "")


def stacks(root: Path) -> list[str]:
    """Return the stacks that have a tracked file, and dev; stacks of tests have none."""
    tracked = _git(root, "ls-files", "Pulumi.*.yaml")
    files = tracked.split() if tracked is not None else [file.name for file in root.glob("Pulumi.*.yaml")]
    return sorted({DEV, *(name.removeprefix("Pulumi.").removesuffix(".yaml") for name in files)})


def keep_git_clean(root: Path) -> None:
    """Configure git to omit the stacks' salts, which the engine writes into their committed files.

    A salt belongs to one checkout's passphrase; committed, it would lock out everyone else. .gitattributes
    names the filter, and its command has to be in the checkout's git config. The state contains the salt too.
    """
    if not (root / ".git").exists() or _git(root, "config", "--get", f"{FILTER}.clean") == STRIP_SALT:
        return
    _git(root, "config", f"{FILTER}.clean", STRIP_SALT)


def refresh_index(root: Path, file: str) -> None:
    """Update git's record of a stack file's size, if its filtered content has not changed.

    git reports a file as modified by its size, before it applies filters.
    """
    filtered = _git(root, "hash-object", f"--path={file}", file)
    if filtered and filtered == _git(root, "rev-parse", "--verify", "-q", f":{file}"):
        _git(root, "add", file)


def _file(name: str) -> str:
    return f"Pulumi.{name}.yaml"


def _is_stored(root: Path, name: str) -> bool:
    return any((root / ".state" / "pulumi" / ".pulumi" / "stacks").glob(f"*/{name}.json"))


def _git(root: Path, *arguments: str) -> str | None:
    """Return git's output; None if it fails or is not installed."""
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
