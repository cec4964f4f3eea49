"""Go toolchain that is recent enough for tools/*/go.mod."""

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
from tools.processes import programs

Version = tuple[int, int, int]
SWITCHES_ITSELF: Version = (1, 21, 0)
"""First Go version that fetches the toolchain required by a go.mod itself."""
_VERIFIED = {"GO111MODULE": "on", "GONOSUMDB": "none"}
"""No module is exempt from the checksum database; an empty value would leave those of GOPRIVATE exempt."""
ASK_S = 1800.0
"""Seconds for a question to Go, which may download a toolchain or modules to answer it."""
NOT_INLINED = ("github.com/...", "google.golang.org/...", "cloud.google.com/...", "go.opentelemetry.io/...")
"""Packages whose functions are not inlined; the standard library's are, or programs would start slower."""
STRIPPED = "-s -w"
USUAL_PLACES = ("/usr/local/go/bin", "/usr/lib/go/bin", "/snap/bin")


@dataclass(frozen=True)
class Go:
    """A `go` command and its version."""

    command: str
    version: Version


def parse_version(text: str) -> Version | None:
    """Parse `go1.19.8`, `go version go1.26.8 linux/amd64`, `1.25.11`, `1.26rc1`; None without a version."""
    match = re.search(r"(?:go|^)(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def wanted_version(go_mod: str) -> Version:
    """Return the Go version that the text of a go.mod requires."""
    match = re.search(r"^go (\S+)", go_mod, re.MULTILINE)
    version = parse_version(match[1]) if match else None
    return version or SWITCHES_ITSELF


def newest(candidates: Iterable[Go], wanted: Version) -> Go | None:
    """Return the first that is recent enough, else the newest; None if there are no candidates."""
    every = list(candidates)
    enough = [go for go in every if go.version >= wanted]
    return enough[0] if enough else max(every, key=lambda go: go.version, default=None)


def installed() -> list[Go]:
    """Return every Go on PATH and in the usual places, in this order."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *USUAL_PLACES]
    folders += [str(path / "bin") for path in sorted(Path("/usr/lib").glob("go-1.*"), reverse=True)]
    toolchains = []
    for folder in dict.fromkeys(folders):
        command = shutil.which("go", path=folder)
        output = _ask([command, "version"], {}) if command else None
        version = parse_version(output.partition("go version ")[2]) if output else None
        if command and version:
            toolchains.append(Go(command, version))
    return toolchains


def prepare(go: Go, wanted: Version) -> tuple[str, dict[str, str]]:
    """Return the build command and its variables; an old Go fetches a newer toolchain first.

    The official toolchains are modules, verified by Go's checksum database like any other, so any Go with
    module support can download one. Since 1.21, Go itself insists on that, and makes the files executable;
    those in the module cache are not.

    Raises:
        ConfigError: the checksum database is switched off.
        CommandFailed: the toolchain could not be downloaded.
    """
    if go.version >= wanted:
        return go.command, {"GOTOOLCHAIN": "local"}
    if go.version >= SWITCHES_ITSELF:
        return go.command, {"GOTOOLCHAIN": "auto"}
    name = ".".join(map(str, wanted))
    if _ask([go.command, "env", "GOSUMDB"], {}) == "off":
        raise ConfigError(
            "GOSUMDB=off",
            f"Go {name} would be downloaded and run unverified",
            f"Set GOSUMDB to a checksum database, or install Go {name}; then rerun the command.",
        )
    system = f"{_ask([go.command, 'env', 'GOOS'], {})}-{_ask([go.command, 'env', 'GOARCH'], {})}"
    module = f"golang.org/toolchain@v0.0.1-go{name}.{system}"
    output = _ask([go.command, "mod", "download", "-json", module], _VERIFIED)
    folder = json.loads(output).get("Dir") if output else None
    if not folder:
        raise CommandFailed(
            f"Go {'.'.join(map(str, go.version))} ({go.command})",
            f"it is older than {name} and cannot download that toolchain ({module})",
            f"Install Go {name} or newer, or the Pulumi CLI itself; then rerun the command.",
        )
    for file in [*Path(folder, "bin").iterdir(), *Path(folder, "pkg", "tool").glob("*/*")]:
        file.chmod(0o755)
    return str(Path(folder, "bin", "go")), {"GOTOOLCHAIN": "local"}


def toolchain(go_mod: Path, log: Path, what: str) -> tuple[str, dict[str, str]]:
    """Return the command and variables to build `what` from this go.mod; install Go if it is missing.

    Raises:
        CaffeSparkError: there is no Go and none can be installed.
    """
    wanted = wanted_version(go_mod.read_text())
    best = newest(installed(), wanted)
    if best is None:
        try:
            packages.ensure(["go"], log)
        except ConfigError as error:
            why = f"there is no Go to build it with, and {error.why}"
            raise ConfigError(what, why, "Install Go, then rerun the command.") from error
        best = newest(installed(), wanted)
    if best is None:
        raise ConfigError(what, "there is no Go to build it with", "Install Go, then rerun the command.")
    command, variables = prepare(best, wanted)
    # The compiler's own garbage collection takes a tenth of its time.
    fixed = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    return command, {**fixed, "GOGC": os.environ.get("GOGC", "400"), **variables}


def build(command: str, package: str, to: str, *words: str, ldflags: str = STRIPPED) -> list[str]:
    """Return the command that builds a package with little CPU, for programs that run for seconds.

    No symbols for debuggers are made, which STRIPPED drops anyway, and dependencies are not inlined: three
    quarters of the time for the Pulumi CLI.
    """
    flags = ["-gcflags=all=-dwarf=false", *(f"-gcflags={each}=-l -dwarf=false" for each in NOT_INLINED)]
    return [command, "build", *words, "-trimpath", *flags, "-ldflags", ldflags, "-o", to, package]


def _ask(argv: list[str], env: dict[str, str]) -> str | None:
    """Return a command's output, None on failure. Run outside of modules: a go.mod may confuse an old Go."""
    try:
        asked = programs.ask(
            argv,
            # GOTOOLCHAIN=local: report the version of this command itself
            env={**os.environ, "GOTOOLCHAIN": "local", **env},
            cwd=Path("/"),
            limit=ASK_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
