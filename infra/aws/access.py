"""Commands that connect the operator to the head: Session Manager, or SSH if `adminCidrs` allow it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra.keys import ssh_command

SPARK_UI: Final = 8080
"""Port of Spark's web UI, which listens on the head's cluster address only."""


@dataclass(frozen=True)
class Commands:
    """Commands to type: `shell` opens a shell on the head, `spark_ui` a tunnel to http://localhost:8080."""

    shell: str
    spark_ui: str


def proxy_command(region: str) -> str:
    """Return SSH's ProxyCommand for an instance id (`%h`) and port (`%p`).

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-getting-started-enable-ssh-connections.html
    """
    document = "--document-name AWS-StartSSHSession --parameters portNumber=%p"
    return f"aws ssm start-session --target %h {document} --region {region}"


def by_session(region: str, instance: str, address: str) -> Commands:
    """Return the commands through Session Manager; they need no key, since AWS authenticates the caller."""
    shell = f"aws ssm start-session --target {instance} --region {region}"
    tunnel = "--document-name AWS-StartPortForwardingSessionToRemoteHost"
    ports = f"host={address},portNumber={SPARK_UI},localPortNumber={SPARK_UI}"
    return Commands(shell, f"{shell} {tunnel} --parameters {ports}")


def by_ssh(stack: str, account: str, address: str, key_file: str | None) -> Commands:
    """Return the commands over SSH; `account` is USER@PUBLIC_ADDRESS, `key_file` the operator's own key, if
    any."""
    ssh = ssh_command(stack, key_file)
    return Commands(f"{ssh} {account}", f"{ssh} -N -L {SPARK_UI}:{address}:{SPARK_UI} {account}")
