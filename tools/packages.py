"""Detection of missing system packages, and their installation through apt."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import CommandFailed, ConfigError
from tools.progress import run

LIST = Path(__file__).with_name("packages.ini")
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Folders of some of these commands on Debian, which are not on an ordinary user's PATH."""


@dataclass(frozen=True)
class Package:
    """A package, and a command or file whose presence substitutes for it."""

    name: str
    stands_for: str | None = None

    @classmethod
    def parse(cls, text: str) -> Package:
        """Parse `name`, `name:command` or `name:/file`."""
        name, _, stands_for = text.partition(":")
        return cls(name, stands_for or None)


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
        if package.name not in known and not (package.stands_for and present(package.stands_for))
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


def ensure(groups: Iterable[str], log: Path) -> list[str]:
    """Install the missing packages of these groups; return their names.

    Raises:
        ConfigError: packages are missing and this machine has no apt, or no way to become root.
        CommandFailed: apt failed.
    """
    listed = read_list(LIST.read_text(), this_distribution())
    packages = [package for group in groups for package in listed[group]]
    lacking = missing(packages, installed_of(packages), present)
    if lacking:
        install(lacking, log)
    return lacking


def install(names: list[str], log: Path) -> None:
    """Install packages through apt, as root or through sudo. Raises as `ensure` does."""
    listed = " ".join(names)
    if shutil.which("apt-get") is None:
        raise ConfigError(
            f"packages {listed}", "they are missing and this machine has no apt-get", "Install them."
        )
    become: list[str] = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise ConfigError(
                f"packages {listed}",
                "they are missing, and installing them takes root or sudo",
                f"As root, run `apt-get install {listed}`; then rerun the command.",
            )
        become = ["sudo"]
        # prompts for the password, if needed, before output goes to the log
        if subprocess.run(["sudo", "-v"], check=False).returncode:
            raise ConfigError(
                f"packages {listed}",
                "sudo refuses to install them for this user",
                f"As root, run `apt-get install {listed}`; then rerun the command.",
            )
    apt = [*become, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]
    fix = (
        f"Run `{' '.join(become)} apt-get install {listed}`".replace("` ", "`") + ", then rerun the command."
    )
    try:
        run("package lists", [*apt, "update", "-q"], log=log, fix=fix)
    except CommandFailed:
        print("  package lists could not be updated: continuing with the present ones", flush=True)
    # --no-remove: otherwise Debian's runc would replace Docker's containerd, for example
    options = ["install", "-y", "-q", "--no-install-recommends", "--no-remove"]
    run(f"packages {listed}", [*apt, *options, *names], log=log, fix=fix, note=str)


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
