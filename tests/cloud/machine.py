"""A bare node as a machine of the cloud: it has instance metadata, a role, and user data.

Simulated: the metadata service, and cloud-init, which would run the user data; `tests.cloud.cloud_init` has
the real one. All that they start is real.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.cluster import Cluster
from infra import tags
from infra.keys import SshKeyProvider
from infra.local import boot, image, node_spec, probe
from infra.local.engine import Engine
from infra.local.node_spec import NodeSpec
from infra.local.settings.config import DebstrapImage
from tests.cloud.servers import ACCESS_KEY, SECRET_KEY
from tests.outputs import outputs_of
from tools.environment import ROOT

ADDRESS = "169.254.169.254"
SERVICE = Path(__file__).with_name("metadata_service.py")
FOLDER = "/opt/stand-in"
UNIT = f"""\
[Unit]
Description=Stand-in for the instance metadata service
# The user data ask it.
Before=cloud-final.service
[Service]
# A node of a stack may not add an address to itself; the engine has done it there.
ExecStartPre=-ip address replace {ADDRESS}/32 dev lo
ExecStart=/usr/bin/python3 {FOLDER}/service.py {FOLDER}/metadata.json {ADDRESS}
[Install]
WantedBy=multi-user.target
"""
BOOT_S = 180
"""Seconds for a container's boot on a busy machine."""
ENGINE = Engine("podman")


@dataclass
class Machine:
    """A container that is a host: its host name, and the engine's name for it."""

    name: str
    container: str
    instance: str
    address: str
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metadata = self.metadata or {
            "instance-id": self.instance,
            "local-ipv4": self.address,
            "iam/security-credentials/": "role",
            "iam/security-credentials/role": json.dumps(
                {
                    "Code": "Success",
                    "AccessKeyId": ACCESS_KEY,
                    "SecretAccessKey": SECRET_KEY,
                    "Token": "",
                    "Expiration": "2099-01-01T00:00:00Z",
                    "LastUpdated": "2026-01-01T00:00:00Z",
                    "Type": "AWS-HMAC",
                }
            ),
        }

    def run(self, script: str, *, privileged: bool = False) -> str:
        """Run a script as root; return its output."""
        options = ["--privileged"] if privileged else []
        done = subprocess.run(
            ["podman", "exec", "-i", *options, self.container, "sh", "-s"],
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def start(self) -> None:
        """Start the container, and wait until its systemd answers."""
        ENGINE.run("start", self.container)
        asked, up = "timeout 5 systemctl is-system-running", ("starting", "running", "degraded")
        self.wait_until(lambda: self.run(asked).strip() in up, "it boots", BOOT_S)

    def gets_a_metadata_service(self) -> None:
        """Give it instance metadata with the credentials of its role; they are there after a boot, too."""
        self.run(f"ip address replace {ADDRESS}/32 dev lo", privileged=True)
        self.publish_metadata()
        unit = "/etc/systemd/system/stand-in-metadata.service"
        self.run(
            f"cat >{FOLDER}/service.py <<'PYTHON'\n{SERVICE.read_text()}\nPYTHON\n"
            f"cat >{unit} <<'UNIT'\n{UNIT}UNIT\n"
            "systemctl enable --quiet --now stand-in-metadata"
        )

    def publish_metadata(self) -> None:
        """Let the service answer by `metadata` as it is now."""
        self.run(
            f"mkdir -p {FOLDER}; cat >{FOLDER}/new.json <<'JSON'\n{json.dumps(self.metadata)}\nJSON\n"
            f"mv {FOLDER}/new.json {FOLDER}/metadata.json"
        )

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = 600) -> None:
        """Wait for a condition; where it does not come, show what the machine logged."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                log = self.run(
                    "tail -n 60 /var/log/caffe-spark-boot.log; journalctl -u caffe-spark-boot -n 20"
                )
                raise AssertionError(f"{what}: not after {seconds:.0f} s\n{log}")
            time.sleep(1)


def base_image() -> str:
    """Return the tag of the nodes' base image."""
    return image.describe(DebstrapImage(source="mmdebstrap"))[0]


def made(cluster: Cluster, name: str, instance: str, number: int, *, image: str, bare: bool) -> Machine:
    """Make a machine on a local stack's network, the `number`-th of it; `pulumi destroy` removes it, too.

    A `bare` one gets the host key that cloud-init would make. It does not run yet.
    """
    container = tags.full_name(cluster.stack, name)
    address = f"{cluster.head.address.rpartition('.')[0]}.{number}"
    host_key = outputs_of(SshKeyProvider(), purpose=name)
    head = Machine("", tags.full_name(cluster.stack, cluster.head.name), "", "")
    spec = NodeSpec(
        engine=ENGINE.kind,
        container=container,
        hostname=name,
        address=address,
        network=tags.full_name(cluster.stack),
        image=image,
        vcpu=2,
        memory_mb=3072,
        host_private_key=host_key["private_key"],
        host_public_key=host_key["public_key"],
        authorized_key=head.run(f"cat /etc/ssh/authorized_keys/{node_spec.USER}").strip(),
        labels=tags.labels(cluster.stack, str(ROOT / "infra")),
    )
    # A machine of the cloud has a packet filter of its own; a node of an embedded stack needs none.
    flags = (*boot.boot_flags(ENGINE, container), "--cap-add=NET_ADMIN")
    ENGINE.run(*node_spec.create_arguments(spec, flags, probe.find(ENGINE, image)))
    if bare:
        ENGINE.run("cp", "-", f"{container}:/", stdin=node_spec.identity(spec))
    else:
        keys = {f"etc/ssh/authorized_keys/{node_spec.USER}": spec.authorized_key + "\n"}
        put(container, keys)
    return Machine(name, container, instance, address)


def put(container: str, files: Mapping[str, str]) -> None:
    """Write files into a container that does not run; paths are relative to its root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(text.encode()), 0o644, int(time.time())
            archive.addfile(entry, io.BytesIO(text.encode()))
    ENGINE.run("cp", "-", f"{container}:/", stdin=buffer.getvalue())
