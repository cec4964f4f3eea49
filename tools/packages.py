"""Detection of missing system packages, and their installation through apt."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import CommandFailed, ConfigError
from tools.lines import screen
from tools.progress import run

LIST = Path(__file__).with_name("packages.ini")
_APT = threading.Lock()
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Folders of some of these commands on Debian, which are not on an ordinary user's PATH."""


@dataclass(frozen=True)
class Package:
    """A package, and commands or files of which one that is present substitutes for it."""

    name: str
    stands_for: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Package:
        """Parse `name`, `name:command`, `name:/file` or `name:/file:/other`."""
        name, *stands_for = text.split(":")
        return cls(name, tuple(stands_for))


@dataclass(frozen=True)
class Distribution:
    """Names of a distribution, most specific first: `ubuntu-22.04`, `ubuntu`, then its ID_LIKE."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, os_release: str) -> Distribution:
        """Parse the text of /etc/os-release."""
        fields = {}
        for line in os_release.splitlines():
            key, _, value = line.partition("=")
            fields[key.strip()] = value.strip().strip("\"'")
        names = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
        return cls((f"{names[0]}-{fields.get('VERSION_ID', '')}", *(name for name in names if name)))


def read_list(text: str, distribution: Distribution) -> dict[str, list[Package]]:
    """Return the packages of each group on this distribution."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    groups = {}
    for group in parser.sections():
        exact = next((name for name in distribution.names if parser.has_option(group, name)), None)
        words = parser.get(group, "any", fallback="").split()
        words += parser.get(group, exact).split() if exact else []
        groups[group] = [Package.parse(word) for word in words]
    return groups


def missing(
    packages: Iterable[Package], installed: Iterable[str], present: Callable[[str], bool]
) -> list[str]:
    """Return the names of packages that are neither installed nor substituted."""
    known = set(installed)
    return [
        package.name
        for package in packages
        if package.name not in known and not any(map(present, package.stands_for))
    ]


def present(what: str) -> bool:
    """Return True if the command is on PATH, or the file exists."""
    if what.startswith("/"):
        return Path(what).exists()
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
    return shutil.which(what, path=path) is not None


def installed_of(packages: Iterable[Package]) -> set[str]:
    """Return the names of packages installed by dpkg; empty without dpkg."""
    names = [package.name for package in packages]
    try:
        asked = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\\n", *names],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return set()
    return {line.split()[1] for line in asked.stdout.splitlines() if line.startswith("installed ")}


def this_distribution() -> Distribution:
    """Return the machine's distribution; an unknown one has only the common packages."""
    try:
        return Distribution.parse(Path("/etc/os-release").read_text())
    except OSError:
        return Distribution(("unknown",))


def lacking(groups: Iterable[str]) -> list[str]:
    """Return the names of the missing packages of these groups."""
    listed = read_list(LIST.read_text(), this_distribution())
    packages = [package for group in groups for package in listed[group]]
    return missing(packages, installed_of(packages), present)


def ensure(groups: Iterable[str], log: Path) -> list[str]:
    """Install the missing packages of these groups; return their names.

    Raises:
        ConfigError: packages are missing and this machine has no apt, or no way to become root.
        CommandFailed: apt failed.
    """
    names = lacking(groups)
    if names:
        install(names, log)
    return names


def to_root(names: list[str], *, ask: bool = True) -> list[str]:
    """Return the words before a command that make it root's, to install these packages.

    sudo asks for a password, where it wants one, unless `ask` is off; the next commands find it answered.

    Raises:
        ConfigError: this machine has no apt-get, or this user cannot become root.
    """
    listed = " ".join(names)
    if shutil.which("apt-get") is None:
        raise ConfigError(
            f"packages {listed}", "this machine has no apt-get to install them", "Install them."
        )
    if os.geteuid() == 0:
        return []
    fix = f"As root, run `apt-get install {listed}`; then rerun the command."
    if shutil.which("sudo") is None:
        raise ConfigError(f"packages {listed}", "installing them takes root or sudo", fix)
    if _sudo_agrees("-n") or (ask and screen.alone(_sudo_agrees)):
        return ["sudo"]
    why = "sudo refuses to install them for this user" if ask else "sudo has refused this user before"
    raise ConfigError(f"packages {listed}", why, fix if ask else f"Run `sudo -v`, or: {fix}")


def _sudo_agrees(*options: str) -> bool:
    # Without -n, its question goes to the terminal.
    silent = subprocess.DEVNULL if "-n" in options else None
    return subprocess.run(["sudo", *options, "-v"], stderr=silent, check=False).returncode == 0


def install(names: list[str], log: Path) -> None:
    """Install packages through apt, as root or through sudo; one installation at a time.

    Raises:
        ConfigError, CommandFailed: as `ensure`.
    """
    with _APT:
        _install(names, to_root(names), log)


def _install(names: list[str], become: list[str], log: Path) -> None:
    listed = " ".join(names)
    apt = [*become, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]
    fix = (
        f"Run `{' '.join(become)} apt-get install {listed}`".replace("` ", "`") + ", then rerun the command."
    )
    try:
        run("package lists", [*apt, "update", "-q"], log=log, fix=fix)
    except CommandFailed:
        screen.print("  package lists could not be updated: continuing with the present ones")
    # --no-remove: otherwise Debian's runc would replace Docker's containerd, for example
    options = ["install", "-y", "-q", "--no-install-recommends", "--no-remove"]
    # whole: an interrupted dpkg would leave packages half installed
    run(f"packages {listed}", [*apt, *options, *names], log=log, fix=fix, note=str, whole=True)


def engine_groups(environment: Mapping[str, str]) -> list[str]:
    """Return the package groups that the dev stack needs; without podman if only Docker works."""
    if present("podman") or not _docker_works(environment):
        return ["engine", "firewall", "image"]
    return ["firewall", "image"]


def _docker_works(environment: Mapping[str, str]) -> bool:
    try:
        asked = subprocess.run(
            ["docker", "info"], env=dict(environment), capture_output=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
