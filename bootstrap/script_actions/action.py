"""Script actions as HDInsight defines them, and the results of their runs. Pure.

Each node of the named roles fetches the script from blob storage and runs it as root, all in parallel, for an
hour at most. A persisted one also runs on nodes that join later.
https://learn.microsoft.com/azure/hdinsight/hdinsight-hadoop-customize-cluster-linux
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from typing import Final, Literal

from bootstrap.errors import ConfigError

HostRole = Literal["headnode", "workernode", "zookeepernode"]
HOST_ROLES: Final[tuple[HostRole, ...]] = ("headnode", "workernode", "zookeepernode")
LIMIT_S: Final = 3600
"""HDInsight ends a script after an hour."""
FOLDER: Final = "script-actions"
"""In the container of artefacts, or in the stack's shared storage."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,49}")
_DIGITS: Final = 16


@dataclass(frozen=True)
class ScriptAction:
    """A script with a name that is unique on its cluster, and the roles of the hosts that run it."""

    name: str
    script: str
    roles: tuple[HostRole, ...] = ("headnode", "workernode")
    parameters: str = ""
    """Words for the script's command line; they are in the cluster's history: nothing secret."""
    persist: bool = True
    probe: str = ""
    """A test that holds on hosts where the script has run; where it fails, the script runs again."""

    def __post_init__(self) -> None:
        """Refuse what HDInsight would refuse, or what would fail on its hosts.

        Raises:
            ConfigError: its name, its roles, its parameters, or its text.
        """
        given, fix = f"script action {self.name!r}", "Fix the role that it is rendered from."
        if not _NAME.fullmatch(self.name):
            raise ConfigError(given, "a name has letters, digits and hyphens, 50 at most", "Name it so.")
        if not self.roles or set(self.roles) - set(HOST_ROLES):
            raise ConfigError(
                given, f"roles: {', '.join(self.roles) or 'none'}; valid: {', '.join(HOST_ROLES)}", fix
            )
        if not self.parameters.isprintable() or _words(self.parameters) is None:
            raise ConfigError(
                given,
                f"parameters {self.parameters!r}: they are not the words of one command line",
                "Put a word with blanks or quotes in it between quotes, as in a shell.",
            )
        if not self.script.isascii() or "\r" in self.script:
            raise ConfigError(given, "its script is not plain ASCII with LF", fix)
        if not self.script.startswith("#!"):
            raise ConfigError(given, "its script does not begin with #!", fix)

    @property
    def words(self) -> list[str]:
        """The parameters, one by one."""
        return _words(self.parameters) or []

    @property
    def sha256(self) -> str:
        """Sum of the script's bytes."""
        return hashlib.sha256(self.script.encode()).hexdigest()

    @property
    def path(self) -> str:
        """The script's path below its container; a different script has a different path."""
        return f"{FOLDER}/{self.name}-{self.sha256[:_DIGITS]}.sh"


def _words(parameters: str) -> list[str] | None:
    """Split parameters as a shell does, without its substitutions; None if a quote does not end."""
    try:
        return shlex.split(parameters)
    except ValueError:
        return None


@dataclass(frozen=True)
class HostOutcome:
    """Outcome of a script on one host."""

    host: str
    exit_code: int | None
    """None: the host was lost, or never responded."""
    said: str = ""
    """The end of its output."""
    seconds: float = 0.0
    log: str = ""
    """Path of the complete output."""

    @property
    def ok(self) -> bool:
        """True when the script exited with 0."""
        return self.exit_code == 0


@dataclass(frozen=True)
class Execution:
    """One run of a script action on a cluster."""

    id: str
    action: str
    uri: str
    hosts: tuple[HostOutcome, ...]
    missing: int = 0
    """Number of hosts of the roles that the run did not reach."""

    @property
    def ok(self) -> bool:
        """True when it succeeded on every host that it should have reached."""
        return not self.missing and all(host.ok for host in self.hosts)
