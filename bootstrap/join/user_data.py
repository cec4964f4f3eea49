"""Rendered scripts by which machines provision themselves, and the user data that fetches them. Pure.

`pulumi up` uploads the scripts to the bucket and puts their sha256 into the user data, so that new machines
and their replacements become nodes by themselves. The program on the machine: `bootstrap.join.on_node.boot`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bootstrap import paths
from bootstrap.cluster import ClusterDocument, DeclaredNode
from bootstrap.engine.operations.shell import quote
from bootstrap.engine.plan import order, plan_node
from bootstrap.engine.render import render
from bootstrap.engine.role import load_role
from bootstrap.join.program import LIBRARY, SETTINGS, WATCH, file, sources, unit

Kind = Literal["head", "worker"]

LIMIT: Final = 16384
"""EC2's limit of user data in bytes, before base64."""
LAUNCH_HOOK: Final = "joining"
TERMINATE_HOOK: Final = "leaving"
"""Lifecycle hooks of the Auto Scaling group, which machines complete themselves."""
METADATA: Final = "http://169.254.169.254"
"""The instance metadata service, IMDSv2:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"""

_ANY_WORKER: Final = DeclaredNode(name="any-worker", address="192.0.2.1")
"""Placeholder for future machines; roles read the real name and address from `paths.IDENTITY`."""


@dataclass(frozen=True)
class Boot:
    """Settings by which a machine joins its cluster; none is secret."""

    role: Kind
    region: str
    bucket: str
    script_key: str
    sha256: str
    """Expected sha256 of the script; any other script is not run."""
    ssh_user: str
    authorized_key: str
    """The operator's public key; empty if the cloud installs it."""
    signing_key: str
    """Public key, PEM, of the signature that the framework's script must have."""
    role_id: str
    """Unique id of the machine's IAM role (AROA…); `aws:userid` is `ROLE_ID:INSTANCE_ID`."""
    autoscaling_group: str = ""
    endpoint: str = ""
    """URL of an S3-compatible server other than AWS."""
    autoscaling_url: str = ""
    """URL of an Auto Scaling service other than AWS's."""
    metadata: str = METADATA
    rebalance: bool = False
    """Take a recommendation to rebalance for a notice: training leaves the machine at once."""

    def settings(self) -> dict[str, str]:
        """Return the content of boot.json, which `boot.py` reads."""
        aws_url = f"https://{self.bucket}.s3.{self.region}.amazonaws.com"
        return {
            "role": self.role,
            "region": self.region,
            "bucket_url": f"{self.endpoint}/{self.bucket}" if self.endpoint else aws_url,
            "script_key": self.script_key,
            "sha256": self.sha256,
            "signing_key": self.signing_key,
            "role_id": self.role_id,
            "autoscaling_group": self.autoscaling_group,
            "autoscaling_url": self.autoscaling_url or f"https://autoscaling.{self.region}.amazonaws.com",
            "launch_hook": LAUNCH_HOOK,
            "terminate_hook": TERMINATE_HOOK,
            "metadata": self.metadata,
            "rebalance": "yes" if self.rebalance else "",
        }


def script_key(role: str, sha256: str) -> str:
    """Return the key of a script in the bucket; it contains the script's hash."""
    return f"{paths.BOOT_SCRIPTS}/{role}-{sha256[:16]}.sh"


def rendered(cluster: ClusterDocument, role: Kind, given: Mapping[str, Any]) -> str:
    """Return the script that provisions the head, or any worker, of this cluster; it contains secrets.

    `given` overrides the roles' defaults, as in `bootstrap.engine.execute.apply`.

    Raises:
        ConfigError: a role cannot be read, compiled or rendered.
    """
    return _script(cluster, role, cluster.roles, given)


def framework_script(cluster: ClusterDocument, given: Mapping[str, Any]) -> str:
    """Return the script that installs a compiled framework on a worker; `given`: role `caffe`'s variables.

    Raises:
        ConfigError: the role cannot be compiled or rendered.
    """
    return _script(cluster, "worker", ("caffe",), given)


def _script(cluster: ClusterDocument, kind: Kind, roles: tuple[str, ...], given: Mapping[str, Any]) -> str:
    node = cluster.head if kind == "head" else _ANY_WORKER
    return render(plan_node(order([load_role(name) for name in roles]), cluster, node, given))


def user_data(boot: Boot) -> str:
    """Return user data: a shell script that writes the program, its settings and units, and starts them."""
    watching = boot.role == "worker" and bool(boot.autoscaling_group)
    units = "caffe-spark-boot.service" + (f" {WATCH}" if watching else "")
    parts = [
        "#!/bin/sh",
        "# caffe-spark: this machine fetches its script from the bucket, checks its sha256 and joins.",
        "# Logs: journalctl -u caffe-spark-boot, and /var/log/caffe-spark-boot.log.",
        "set -eu",
        "umask 022",
        _authorize(boot.ssh_user, boot.authorized_key) if boot.authorized_key else "",
        f"mkdir -p {Path(SETTINGS).parent}",
        *sources(LIBRARY),
        file(SETTINGS, json.dumps(boot.settings(), indent=1), "JSON"),
        file("/etc/systemd/system/caffe-spark-boot.service", unit("join"), "UNIT"),
        file(f"/etc/systemd/system/{WATCH}", unit("watch"), "UNIT") if watching else "",
        "systemctl daemon-reload",
        f"systemctl enable --quiet {units}",
        # Do not wait: cloud-init has other work, and a time limit of its own.
        f"systemctl start --no-block {units}",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def _authorize(user: str, key: str) -> str:
    name = quote(user)
    return "\n".join(
        [
            f"home=$(getent passwd {name} | cut -d: -f6)",
            f'install -d -m 0700 -o {name} -g {name} "$home/.ssh"',
            f"printf '%s\\n' {quote(key)} >\"$home/.ssh/authorized_keys\"",
            f'chown {name}:{name} "$home/.ssh/authorized_keys"',
            'chmod 0600 "$home/.ssh/authorized_keys"',
        ]
    )
