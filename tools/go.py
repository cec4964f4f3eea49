"""A Go toolchain that is recent enough for tools/*/go.mod, whatever Go the machine has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import CommandFailed, ConfigError
from tools import packages

Version = tuple[int, int, int]
SWITCHES_ITSELF: Version = (1, 21, 0)
"""From here on, Go fetches the toolchain that a go.mod asks for by itself."""
USUAL_PLACES = ("/usr/local/go/bin", "/usr/lib/go/bin", "/snap/bin")


@dataclass(frozen=True)
class Go:
    """A `go` command and its version."""

    command: str
    version: Version


def parse_version(text: str) -> Version | None:
    """`go1.19.8`, `go version go1.26.8 linux/amd64`, `1.25.11`, `1.26rc1` -> numbers; None without any."""
    found = re.search(r"(?:go|^)(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def wanted_version(go_mod: str) -> Version:
    """The Go version that the text of a go.mod asks for."""
    found = re.search(r"^go (\S+)", go_mod, re.MULTILINE)
    version = parse_version(found[1]) if found else None
    return version or SWITCHES_ITSELF


def newest(found: Iterable[Go], wanted: Version) -> Go | None:
    """The first that is recent enough as it is, else the newest, None if there is none."""
    every = list(found)
    enough = [go for go in every if go.version >= wanted]
    return enough[0] if enough else max(every, key=lambda go: go.version, default=None)


def installed() -> list[Go]:
    """Every Go on PATH and in the usual places, in this order."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *USUAL_PLACES]
    folders += [str(path / "bin") for path in sorted(Path("/usr/lib").glob("go-1.*"), reverse=True)]
    found = []
    for folder in dict.fromkeys(folders):
        command = shutil.which("go", path=folder)
        said = _ask([command, "version"], {}) if command else None
        version = parse_version(said.partition("go version ")[2]) if said else None
        if command and version:
            found.append(Go(command, version))
    return found


def prepare(go: Go, wanted: Version) -> tuple[str, dict[str, str]]:
    """The command to build with, and the variables it needs; an old Go fetches a newer one first.

    The official toolchains are modules, checked against Go's checksum database like every other: any Go that
    knows modules can download one. Files from the module cache are not executable, which Go itself mends only
    since 1.21.

    Raises:
        CommandFailed: the toolchain could not be downloaded.
    """
    if go.version >= wanted:
        return go.command, {"GOTOOLCHAIN": "local"}
    if go.version >= SWITCHES_ITSELF:
        return go.command, {"GOTOOLCHAIN": "auto"}
    name = ".".join(map(str, wanted))
    system = f"{_ask([go.command, 'env', 'GOOS'], {})}-{_ask([go.command, 'env', 'GOARCH'], {})}"
    module = f"golang.org/toolchain@v0.0.1-go{name}.{system}"
    said = _ask([go.command, "mod", "download", "-json", module], {"GO111MODULE": "on"})
    folder = json.loads(said).get("Dir") if said else None
    if not folder:
        raise CommandFailed(
            f"Go {'.'.join(map(str, go.version))} ({go.command})",
            f"it is older than {name} and cannot download that toolchain ({module})",
            f"Install Go {name} or newer, or the Pulumi CLI itself; then the same command again.",
        )
    for file in [*Path(folder, "bin").iterdir(), *Path(folder, "pkg", "tool").glob("*/*")]:
        file.chmod(0o755)
    return str(Path(folder, "bin", "go")), {"GOTOOLCHAIN": "local"}


def toolchain(go_mod: Path, log: Path, what: str) -> tuple[str, dict[str, str]]:
    """The command and the variables to build `what` (in words) from this go.mod; Go is installed if need be.

    Raises:
        CaffeSparkError: there is no Go and none can be had.
    """
    wanted = wanted_version(go_mod.read_text())
    best = newest(installed(), wanted)
    if best is None:
        packages.ensure(["go"], log)
        best = newest(installed(), wanted)
    if best is None:
        raise ConfigError(what, "there is no Go to build it with", "Install Go, then the same command again.")
    command, variables = prepare(best, wanted)
    return command, {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off", **variables}


def _ask(argv: list[str], env: dict[str, str]) -> str | None:
    """A command's output; None when it fails. Outside of any module, lest a go.mod confuses an old Go."""
    try:
        asked = subprocess.run(
            argv,
            # GOTOOLCHAIN: the version asked for is this command's own
            env={**os.environ, "GOTOOLCHAIN": "local", **env},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
