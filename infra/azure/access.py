"""Commands and URLs that connect the operator to the cluster: SSH to the heads, web pages through the
gateway. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from infra.azure import names
from infra.keys import ssh_command


@dataclass(frozen=True)
class Commands:
    """Commands and URLs: `ssh` connects to the active head, `gateway` and `yarn_ui` are pages, `password`
    prints the gateway's."""

    ssh: str
    gateway: str
    yarn_ui: str
    password: str


def commands(stack: str, user: str, key_file: str | None, cluster: str) -> Commands:
    """Return them for a cluster of that name; `key_file` is the operator's own key, if any."""
    gateway = names.gateway_url(cluster)
    return Commands(
        ssh=f"{ssh_command(stack, key_file)} {user}@{names.ssh_host(cluster)}",
        gateway=gateway,
        yarn_ui=f"{gateway}/yarnui",
        password=f"pulumi stack output gateway_password --show-secrets --stack {stack}",
    )
