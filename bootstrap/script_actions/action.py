"""A script action as HDInsight defines it, and what came of running one. Pure.

A script that lies in blob storage is fetched by each node of the named roles and run there as root, on all of
them side by side. It may take an hour. A persisted one runs on nodes that join later, too.
https://learn.microsoft.com/azure/hdinsight/hdinsight-hadoop-customize-cluster-linux
"""

from __future__ import annotations

import hashlib
import re
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
    """A script, whose name is unique on its cluster, and where it runs."""

    name: str
    script: str
    roles: tuple[HostRole, ...] = ("headnode", "workernode")
    parameters: str = ""
    """Words for the script's command line; they are in the cluster's history: nothing secret."""
    persist: bool = True
    probe: str = ""
    """A test that holds on hosts where the script has run: what somebody removed since is brought again."""

    def __post_init__(self) -> None:
        """Refuse what HDInsight would refuse, or run to no good.

        Raises:
            ConfigError: its name, its roles, or its text.
        """
        given, mend = f"script action {self.name!r}", "Mend the role that it is rendered from."
        if not _NAME.fullmatch(self.name):
            raise ConfigError(given, "a name has letters, digits and hyphens, 50 at most", "Name it so.")
        if not self.roles or set(self.roles) - set(HOST_ROLES):
            raise ConfigError(
                given, f"roles: {', '.join(self.roles) or 'none'}; valid: {', '.join(HOST_ROLES)}", mend
            )
        if not self.script.isascii() or "\r" in self.script:
            raise ConfigError(given, "its script is not plain ASCII with LF", mend)
        if not self.script.startswith("#!"):
            raise ConfigError(given, "its script does not begin with #!", mend)

    @property
    def sha256(self) -> str:
        """Of the script's bytes."""
        return hashlib.sha256(self.script.encode()).hexdigest()

    @property
    def path(self) -> str:
        """Where the script lies below its container: another text has another name."""
        return f"{FOLDER}/{self.name}-{self.sha256[:_DIGITS]}.sh"


@dataclass(frozen=True)
class HostOutcome:
    """What a node answered."""

    host: str
    exit_code: int | None
    """None: the node was lost, or never answered."""
    said: str = ""
    """The end of its output."""
    seconds: float = 0.0
    log: str = ""
    """Where the whole output lies."""

    @property
    def ok(self) -> bool:
        """Whether the script ended with 0."""
        return self.exit_code == 0


@dataclass(frozen=True)
class Execution:
    """One run of a script action on a cluster."""

    id: str
    action: str
    uri: str
    hosts: tuple[HostOutcome, ...]
    missing: int = 0
    """Nodes of the roles that the run did not reach."""

    @property
    def ok(self) -> bool:
        """Whether it succeeded on every node that it should have reached."""
        return not self.missing and all(host.ok for host in self.hosts)
