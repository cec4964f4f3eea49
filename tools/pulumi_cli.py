"""Pulumi CLI: from PATH if recent enough, else downloaded, else built by Go from pinned modules."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import CaffeSparkError, ConfigError
from tools import go, pulumi_release
from tools.environment import cli_folder
from tools.lines import Line
from tools.processes import Stopped, programs
from tools.progress import run

Version = tuple[int, int, int]
Beside = Callable[[Callable[[], None]], "Future[None]"]
"""Starts work beside the caller's, as `tools.parts.Parts.start` does."""
MINIMUM: Version = (3, 200, 0)
"""Minimum version; matches the range of the Python SDK in pyproject.toml."""
HOST = "pulumi-language-python"
CLI_MODULE, CLI_PACKAGE = "pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
HOST_MODULE = HOST
HOST_PACKAGE = f"github.com/pulumi/pulumi/sdk/v3/python/cmd/{HOST}"
SDK = "github.com/pulumi/pulumi/sdk/v3"
SCRIPTS = (f"python/cmd/{HOST}-exec", "python/dist/pulumi-resource-pulumi-python")
"""Scripts of the CLI's SDK module that must lie beside the binaries."""
FIX = "Read the log, then rerun `make setup`; or put a Pulumi CLI on PATH yourself."


@dataclass(frozen=True)
class Cli:
    """A Pulumi CLI; `has_host` is True if the CLI finds a Python language host."""

    command: str
    version: Version
    has_host: bool

    @property
    def usable(self) -> bool:
        """True if the CLI is recent enough and can run Python programs."""
        return self.version >= MINIMUM and self.has_host

    def __str__(self) -> str:
        return f"pulumi {'.'.join(map(str, self.version))} ({self.command})"


def parse_version(text: str) -> Version | None:
    """Parse `v3.259.0`, `3.200.0-alpha.1+dirty`; None if the text is not a valid version."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def choose(candidates: Iterable[Cli]) -> Cli | None:
    """Return the first usable CLI."""
    return next((cli for cli in candidates if cli.usable), None)


def look(path: str) -> list[Cli]:
    """Return the CLIs in these folders (as in $PATH), in order."""
    clis = []
    for folder in dict.fromkeys(entry for entry in path.split(os.pathsep) if entry):
        command = shutil.which("pulumi", path=folder)
        cli = _examine(command, path) if command else None
        if cli:
            clis.append(cli)
    return clis


def _examine(command: str, path: str) -> Cli | None:
    try:
        asked = subprocess.run(
            [command, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = parse_version(asked.stdout)
    beside = str(Path(command).resolve().parent)
    host = shutil.which(HOST, path=f"{beside}{os.pathsep}{path}")
    return Cli(command, version, host is not None) if version else None


def ensure(root: Path, environment: Mapping[str, str], log: Path, beside: Beside) -> str:
    """Install a CLI unless a usable one exists; return its description.

    Raises:
        Stopped: another part of the set-up failed.
        CaffeSparkError: no CLI exists, and none can be downloaded or built; or the download is not the
            published one.
    """
    own = cli_folder(root)
    stamp = own.parent / "built-from"
    pins = _pins(root)
    if stamp.exists() and stamp.read_text() != pins:
        shutil.rmtree(own, ignore_errors=True)  # built from older pins
    chosen = choose(look(f"{own}{os.pathsep}{environment.get('PATH', os.defpath)}"))
    if chosen:
        return str(chosen)
    if not _download(root, own, log):
        build(root, own, log, beside)
        stamp.write_text(pins)
    chosen = choose(look(str(own)))
    if chosen is None:
        raise ConfigError(
            f"the Pulumi CLI in {own}", "it does not run", "Remove that folder, then rerun `make setup`."
        )
    return str(chosen)


def _download(root: Path, own: Path, log: Path) -> bool:
    """Download the release; return False if it cannot be reached.

    Raises:
        IntegrityError: the download is not the published one.
    """
    line = Line("Pulumi CLI, download")
    try:
        pulumi_release.install(pulumi_release.wanted_version((root / "requirements.lock").read_text()), own)
    except OSError as error:
        with log.open("a") as file:
            file.write(f"Pulumi CLI, download: {error}\n")
        line.end("not reachable, so Go builds it: about 4 minutes, once")
        return False
    except (CaffeSparkError, Stopped):
        line.end("failed")
        raise
    line.end("done")
    return True


def build(root: Path, own: Path, log: Path, beside: Beside) -> None:
    """Build CLI and language host with Go, and replace `own` atomically.

    The CLI's sources are fetched while the host is compiled.

    Raises:
        Stopped: another part of the set-up failed.
        CaffeSparkError: there is no Go and none can be installed, or a build failed.
    """
    what = "the Pulumi CLI, which is not on PATH and cannot be downloaded"
    command, variables = go.toolchain(root / "tools" / CLI_MODULE / "go.mod", log, what)
    env = {**os.environ, **variables}
    fresh = own.parent / "bin.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    cli = _Program("Pulumi CLI", root / "tools" / CLI_MODULE, CLI_PACKAGE, command, env)
    host = _Program("Python language host", root / "tools" / HOST_MODULE, HOST_PACKAGE, command, env)
    # A log of its own: output of two commands would mix.
    fetched = beside(lambda: cli.fetch(log.with_name(f"{log.stem}-sources.log")))
    host.fetch(log)
    host.compile(fresh, log)
    fetched.result()
    cli.compile(fresh, log)
    sdk = _ask_go(command, ["list", "-m", "-f", "{{.Dir}}", SDK], root / "tools" / CLI_MODULE, env)
    for script in SCRIPTS:
        target = fresh / Path(script).name
        shutil.copyfile(Path(sdk) / script, target)
        target.chmod(0o755)
    shutil.rmtree(own, ignore_errors=True)
    fresh.replace(own)


class _Program:
    """A program of a Go module."""

    def __init__(self, title: str, folder: Path, package: str, go: str, env: Mapping[str, str]) -> None:
        self._title, self._folder, self._package, self._go, self._env = title, folder, package, go, env
        self._parts = Counter()

    def fetch(self, log: Path) -> None:
        """Fetch the module's sources."""
        argv = [self._go, "list", "-deps", "-f", "{{.ImportPath}}", self._package]
        self._run("fetching its sources", argv, log, self._parts)

    def compile(self, to: Path, log: Path) -> None:
        """Compile the program into a folder."""
        version = _ask_go(self._go, ["list", "-m", "-f", "{{.Version}}", SDK], self._folder, self._env)
        flags = f"{go.STRIPPED} -X {SDK}/go/common/version.Version={version}"
        compiled = Counter(f" of at most {self._parts.seen} packages")
        argv = go.build(self._go, self._package, f"{to}/", "-v", ldflags=flags)
        self._run("compiling", argv, log, compiled)

    def _run(self, what: str, argv: list[str], log: Path, counter: Counter) -> None:
        run(
            f"{self._title}, {what}",
            argv,
            log=log,
            fix=FIX,
            env=self._env,
            cwd=self._folder,
            note=counter.count,
        )


class Counter:
    """Progress of a Go command, which prints a line for each package that it lists or compiles."""

    def __init__(self, of: str = " packages") -> None:
        self.seen, self.of = 0, of

    def count(self, line: str) -> str:
        """Count a line and return the progress; lines about downloads are returned unchanged."""
        if line.startswith("go:"):
            return line.removeprefix("go: ")
        self.seen += 1
        return f"{self.seen}{self.of}"


def _ask_go(command: str, arguments: list[str], folder: Path, env: Mapping[str, str]) -> str:
    try:
        asked = programs.ask([command, *arguments], cwd=folder, env=env, limit=go.ASK_S)
    except subprocess.TimeoutExpired as error:
        raise CaffeSparkError(f"go {' '.join(arguments)}", f"no end within {go.ASK_S:.0f} s", FIX) from error
    if asked.returncode:
        raise CaffeSparkError(f"go {' '.join(arguments)}", asked.stderr.strip().splitlines()[-1], FIX)
    return asked.stdout.strip()


def _pins(root: Path) -> str:
    digest = hashlib.sha256()
    for module in (CLI_MODULE, HOST_MODULE):
        for name in ("go.mod", "go.sum"):
            digest.update((root / "tools" / module / name).read_bytes())
    return digest.hexdigest()
