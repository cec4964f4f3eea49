"""Part of the operator's machine: versions, the stack's settings and document, and logs of commands."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from bootstrap.cluster import ClusterDocument
from bootstrap.support.bundle import Bundle

ASK_S: Final = 30.0
"""Seconds for a program that states its version."""
RUNS: Final = 4
"""Last runs of each kind (bootstrap, build …) whose logs are taken."""
PER_LOG: Final = 256 << 10
_PROGRAMS: Final = (
    ("git", "describe", "--always", "--dirty", "--tags"),
    ("pulumi", "version"),
    ("pulumi", "plugin", "ls"),
    ("podman", "--version"),
    ("docker", "--version"),
    ("aws", "--version"),
    ("session-manager-plugin", "--version"),
    ("az", "version"),
)
_BACKEND: Final = "PULUMI_BACKEND_URL"


def add_operator(bundle: Bundle, root: Path, stack: str, env: Mapping[str, str]) -> None:
    """Add versions, settings and the logs of the last runs."""
    bundle.add("versions.txt", versions(root, env))
    for name in ("Pulumi.yaml", f"Pulumi.{stack}.yaml", "fabric.yaml"):
        bundle.add_file(f"settings/{name}", root / name)
    for path in last_logs(root / ".state" / "log"):
        bundle.add_file(f"operator/{path.relative_to(root / '.state' / 'log')}", path, limit=PER_LOG)


def add_document(bundle: Bundle, document: ClusterDocument) -> None:
    """Add the cluster as its stack declares it; its secrets are not written at all."""
    bundle.add("cluster.json", document.model_dump_json(indent=1))


def versions(root: Path, env: Mapping[str, str]) -> str:
    """Return the versions of this project, Python and its packages, the system, Pulumi, engine and tools."""
    lines = [
        f"caffe-spark {_installed('caffe-spark')}",
        f"Python {sys.version.splitlines()[0]}",
        f"system {platform.platform()}",
        f"backend {env.get(_BACKEND, 'Pulumi Cloud')}",
    ]
    release = Path("/etc/os-release")
    lines += release.read_text(errors="replace").splitlines() if release.exists() else []
    for command in _PROGRAMS:
        lines += [f"$ {' '.join(command)}", _output(command, root, env)]
    packages = {f"{one.metadata['Name']}=={one.version}" for one in metadata.distributions()}
    return "\n".join([*lines, "packages:", *sorted(packages, key=str.lower)]) + "\n"


def last_logs(folder: Path) -> list[Path]:
    """Return the files of the last runs of each kind, and the logs that every run of a tool continues."""
    if not folder.is_dir():
        return []
    kinds: dict[str, list[Path]] = {}
    for path in folder.iterdir():
        if path.is_dir():
            kinds.setdefault(path.name.partition("-")[0], []).append(path)
    runs = [run for of_kind in kinds.values() for run in sorted(of_kind, key=_changed)[-RUNS:]]
    inside = [file for run in runs for file in sorted(run.iterdir()) if file.is_file()]
    return [*sorted(file for file in folder.glob("*.log") if file.is_file()), *inside]


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _output(command: Sequence[str], root: Path, env: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=ASK_S,
            check=False,
        )
    except FileNotFoundError:
        return "not installed"
    except subprocess.TimeoutExpired:
        return f"no answer within {ASK_S:.0f} s"
    except OSError as error:
        return str(error)
    return done.stdout.strip()
