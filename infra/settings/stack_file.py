"""Access to Pulumi.STACK.yaml: read directly, written by Pulumi's CLI, which keeps comments.

Used by dynamic providers, which the engine gives the configuration of an earlier run.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from bootstrap import strict_yaml
from bootstrap.errors import StackError
from infra.tags import PROJECT

TIMEOUT: Final = 60.0


def project(start: Path | None = None) -> Path:
    """Return the folder of Pulumi.yaml, at or above `start` (default: the working directory; Pulumi's is
    infra/).

    Raises:
        StackError: there is no Pulumi.yaml.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise StackError(
        str(here), "there is no Pulumi.yaml in this folder or above", "Go to the project's folder."
    )


def read(stack: str, start: Path | None = None) -> dict[str, Any]:
    """Return the project's plain settings, as parsed by YAML; empty if the stack has no file yet."""
    file = project(start) / f"Pulumi.{stack}.yaml"
    document = strict_yaml.load(file.read_text()) if file.is_file() else None
    found = (document or {}).get("config") or {}
    return {
        name.removeprefix(f"{PROJECT}:"): value
        for name, value in found.items()
        if name.startswith(f"{PROJECT}:")
    }


def declared(root: Path) -> dict[str, dict[str, Any]]:
    """Return the settings of every stack file, unchecked: a stack may be gone, or its file half edited."""
    found = {}
    for file in sorted(root.glob("Pulumi.*.yaml")):
        name = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
        with contextlib.suppress(yaml.YAMLError, AttributeError):
            found[name] = read(name, root)
    return found


def write(stack: str, values: Mapping[str, str], start: Path | None = None) -> None:
    """Set plain values with `pulumi config`; a running `up` does not notice.

    Raises:
        StackError: pulumi is not on PATH, or fails.
    """
    pairs = [part for key, value in values.items() for part in ("--plaintext", f"{PROJECT}:{key}={value}")]
    shown = "; ".join(f"pulumi config set {key} {value} --stack {stack}" for key, value in values.items())
    try:
        done = subprocess.run(
            ["pulumi", "config", "set-all", "--non-interactive", "--stack", stack, *pairs],
            cwd=project(start),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise StackError(
            f"Pulumi.{stack}.yaml", "it was not written: pulumi is not on PATH", f"Run `{shown}`."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"Pulumi.{stack}.yaml", f"pulumi did not write it within {TIMEOUT:.0f} s", f"Run `{shown}`."
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[-1]
        raise StackError(f"Pulumi.{stack}.yaml", f"pulumi cannot write it: {last}", f"Run `{shown}`.")
