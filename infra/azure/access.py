"""How the operator reaches the cluster: SSH to its heads, its pages through the gateway. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from infra.azure import names
from infra.keys import ssh_command


@dataclass(frozen=True)
class Commands:
    """What to type: `ssh` to the active head; and where to look: `gateway`, `yarn_ui`."""

    ssh: str
    gateway: str
    yarn_ui: str
    password: str


def commands(stack: str, user: str, key_file: str | None, cluster: str) -> Commands:
    """For a cluster of that name; `key_file` is the operator's where the key is theirs."""
    gateway = names.gateway_url(cluster)
    return Commands(
        ssh=f"{ssh_command(stack, key_file)} {user}@{names.ssh_host(cluster)}",
        gateway=gateway,
        yarn_ui=f"{gateway}/yarnui",
        password=f"pulumi stack output gateway_password --show-secrets --stack {stack}",
    )
