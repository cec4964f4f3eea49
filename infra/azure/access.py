"""How the operator reaches the cluster: SSH to its heads, its pages through the gateway. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra.azure import names

_LOAD_KEY: Final = (
    "pulumi stack output cluster --show-secrets --stack {stack} | "
    """python3 -c 'import json, sys; print(json.load(sys.stdin)["ssh"]["private_key"])' | ssh-add -q - && """
)
"""The stack's own key, from its state into the agent: it is never a file."""


@dataclass(frozen=True)
class Commands:
    """What to type: `ssh` to the active head; and where to look: `gateway`, `yarn_ui`."""

    ssh: str
    gateway: str
    yarn_ui: str
    password: str


def commands(stack: str, user: str, key_file: str | None, cluster: str) -> Commands:
    """For a cluster of that name; `key_file` is the operator's where the key is theirs."""
    ssh = f"ssh -i {key_file}" if key_file else f"{_LOAD_KEY.format(stack=stack)}ssh"
    gateway = names.gateway_url(cluster)
    return Commands(
        ssh=f"{ssh} {user}@{names.ssh_host(cluster)}",
        gateway=gateway,
        yarn_ui=f"{gateway}/yarnui",
        password=f"pulumi stack output gateway_password --show-secrets --stack {stack}",
    )
