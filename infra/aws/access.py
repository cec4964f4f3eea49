"""How the operator reaches the head: by Session Manager, or by SSH where `adminCidrs` let it in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra.keys import ssh_command

SPARK_UI: Final = 8080
"""Spark's pages: on the head, at its cluster address and nowhere else."""


@dataclass(frozen=True)
class Commands:
    """What to type: `shell` for one on the head, `spark_ui` for a tunnel to http://localhost:8080."""

    shell: str
    spark_ui: str


def proxy_command(region: str) -> str:
    """What SSH runs to reach an instance's id (`%h`) and port (`%p`).

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-getting-started-enable-ssh-connections.html
    """
    document = "--document-name AWS-StartSSHSession --parameters portNumber=%p"
    return f"aws ssm start-session --target %h {document} --region {region}"


def by_session(region: str, instance: str, address: str) -> Commands:
    """Through Session Manager; needs no key, since AWS itself asks who is calling."""
    shell = f"aws ssm start-session --target {instance} --region {region}"
    tunnel = "--document-name AWS-StartPortForwardingSessionToRemoteHost"
    ports = f"host={address},portNumber={SPARK_UI},localPortNumber={SPARK_UI}"
    return Commands(shell, f"{shell} {tunnel} --parameters {ports}")


def by_ssh(stack: str, account: str, address: str, key_file: str | None) -> Commands:
    """Over SSH; `account` is USER@PUBLIC_ADDRESS, `key_file` the operator's where the key is theirs."""
    ssh = ssh_command(stack, key_file)
    return Commands(f"{ssh} {account}", f"{ssh} -N -L {SPARK_UI}:{address}:{SPARK_UI} {account}")
