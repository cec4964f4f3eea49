"""Container engine of this machine: runs podman or docker.

Commands are argument lists; secrets are passed on stdin. Differences between the output of podman and docker
are hidden here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bootstrap.errors import CaffeSparkError, ConfigError
from infra.local import engine_output
from infra.local.engine_output import Container, Network

Kind = Literal["podman", "docker"]
TIMEOUT: Final = 120.0
"""Seconds; a busy machine takes ten for what usually takes a tenth of one."""

CGROUPS: Final = "/sys/fs/cgroup"
"""Control groups of this machine."""

OWN: Final = "localhost/"
"""Start of the names of images that were made on this machine; they are never pulled."""


class EngineError(CaffeSparkError):
    """The engine failed; `output` is its error output."""

    def __init__(self, given: str, why: str, fix: str, *, output: str = "") -> None:
        super().__init__(given, why, fix)
        self.output = output


# error output -> (why, fix)
_KNOWN: Final = (
    (
        re.compile(r"password is required|no new privileges", re.IGNORECASE),
        "sudo asks for a password",
        "Run `sudo -v`, then rerun the command.",
    ),
    (
        re.compile(
            r"cannot connect to (the docker daemon|podman)|is the docker daemon running", re.IGNORECASE
        ),
        "its daemon is not running",
        "Run `sudo systemctl start docker`, then rerun the command.",
    ),
    (
        re.compile(r"no space left on device", re.IGNORECASE),
        "the disk is full",
        "Free some disk (`podman system prune` removes what nothing uses), then rerun the command.",
    ),
    (
        re.compile(r"pool overlaps|subnet .* (is )?already (used|being used)", re.IGNORECASE),
        "another network uses the subnet",
        "Run `pulumi config set subnet 192.168.77.0/24`, or another free one.",
    ),
)


@dataclass(frozen=True)
class Engine:
    """Podman or docker, run as root (with `sudo -n` unless already root)."""

    kind: Kind

    @property
    def podman(self) -> bool:
        """True if the engine is podman."""
        return self.kind == "podman"

    def run(self, *arguments: str, stdin: bytes | None = None, timeout: float = TIMEOUT) -> str:
        """Run one command and return its standard output.

        Raises:
            EngineError: it failed or took longer than `timeout` seconds.
        """
        return run_as_root([self.kind, *arguments], stdin=stdin, timeout=timeout)

    def version(self) -> str:
        """Return the version, e.g. `4.3.1`; fails if docker's daemon is not running."""
        if self.podman:
            return self.run("--version").split()[-1]
        return self.run("version", "--format", "{{.Server.Version}}").strip()

    def storage(self) -> str:
        """Return the folder that holds images and containers."""
        return self.run("info", "-f", "{{.Store.GraphRoot}}" if self.podman else "{{.DockerRootDir}}").strip()

    def networks(self) -> list[Network]:
        """Return all networks, including the engine's default ones."""
        if self.podman:
            found = json.loads(self.run("network", "ls", "--format", "json") or "[]")
            return [engine_output.podman_network(entry) for entry in found or []]
        names = self.run("network", "ls", "-q").split()
        found = json.loads(self.run("network", "inspect", *names)) if names else []
        return [engine_output.docker_network(entry) for entry in found]

    def network(self, name: str) -> Network | None:
        """Return the network of that name, or None."""
        return next((network for network in self.networks() if network.name == name), None)

    def container(self, name: str) -> Container | None:
        """Return the container of that name or id, or None."""
        try:
            found = json.loads(self.run("container", "inspect", name))
        except EngineError as error:
            if "no such container" in error.output.lower():
                return None
            raise
        return engine_output.container(found[0])

    def containers(self, labels: Mapping[str, str]) -> list[str]:
        """Return the names of all containers with these labels, stopped ones included."""
        filters = [f"--filter=label={key}={value}" for key, value in labels.items()]
        return self.run("ps", "-a", *filters, "--format", "{{.Names}}").split()

    def remove_containers(self, *names: str) -> None:
        """Remove containers with their anonymous volumes; missing ones are ignored."""
        if not names:
            return
        parents = (
            [] if self.podman else [there.cgroup_parent for there in map(self.container, names) if there]
        )
        try:
            # Killed at once: a node has nothing that an orderly shutdown would save.
            self.run("rm", "-f", "-v", *(("-t", "0") if self.podman else ()), *names)
        except EngineError as error:
            if "no such container" not in error.output.lower():
                raise
        for parent in filter(None, parents):
            # The driver `cgroupfs` leaves the parent of a container's control group; see `infra.local.boot`.
            _remove_empty_cgroup(Path(parent).name)

    def image_exists(self, ref: str) -> bool:
        """Return whether the image exists in the engine's storage."""
        try:
            self.run("image", "inspect", "--format", "{{.Id}}", ref)
        except EngineError as error:
            if re.search(r"no such image|image not known|failed to find image", error.output, re.IGNORECASE):
                return False
            raise
        return True


def typed(kind: str) -> str:
    """Return the engine's command as this user types it."""
    return kind if os.geteuid() == 0 else f"sudo {kind}"


def find_engine(setting: Literal["auto", "podman", "docker"], stack: str) -> Engine:
    """Return the configured engine; `auto` prefers podman.

    Raises:
        ConfigError: it is not installed.
    """
    wanted: tuple[Kind, ...] = ("podman", "docker") if setting == "auto" else (setting,)
    for kind in wanted:
        if shutil.which(kind):
            return Engine(kind)
    other = "docker" if setting == "podman" else "podman"
    if setting != "auto" and shutil.which(other):
        raise ConfigError(
            f"engine: {setting}",
            f"{setting} is not installed here, {other} is",
            f"Run `pulumi config set engine {other} --stack {stack}`.",
        )
    raise ConfigError(
        f"engine: {setting}",
        f"{' or '.join(wanted)} is not installed here",
        f"Run `sudo apt-get install -y {wanted[0] if wanted[0] == 'podman' else 'docker.io'}`.",
    )


def _remove_empty_cgroup(name: str) -> None:
    found = [CGROUPS, "-mindepth", "1", "-maxdepth", "2", "-type", "d", "-name", name]
    # rmdir refuses a group that has processes or groups in it.
    run_as_root(["find", *found, "-prune", "-exec", "rmdir", "--ignore-fail-on-non-empty", "{}", ";"])


def run_as_root(command: Sequence[str], *, stdin: bytes | None = None, timeout: float = TIMEOUT) -> str:
    """Run a command as root and return its standard output.

    Raises:
        EngineError: it failed or took longer than `timeout` seconds.
    """
    # -n: a password prompt would be hidden by pulumi's display.
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    shown = shlex.join(command[:2])
    try:
        done = subprocess.run(
            [*prefix, *command],
            input=b"" if stdin is None else stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            # The working directory may be inaccessible to root, or deleted.
            cwd="/",
        )
    except FileNotFoundError as error:
        raise EngineError(
            shown, f"{error.filename} is not installed", f"Run `apt-get install {error.filename}`."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            shown,
            f"no answer within {timeout:.0f} s",
            "Rerun the command when the machine is less busy.",
        ) from error
    if done.returncode != 0:
        raise _explained(shown, done.stderr.decode(errors="replace"), done.returncode)
    return done.stdout.decode(errors="replace")


def _explained(shown: str, stderr: str, code: int) -> EngineError:
    # podman warns about unrelated CNI files on every call
    lines = [line for line in stderr.splitlines() if line.strip() and "level=warning" not in line]
    output = "\n".join(lines)
    for pattern, why, fix in _KNOWN:
        if pattern.search(output):
            return EngineError(shown, why, fix, output=output)
    last = lines[-1].removeprefix("Error: ").strip() if lines else f"it ended with status {code}"
    return EngineError(shown, last, "Fix the cause above, then rerun the command.", output=output)
