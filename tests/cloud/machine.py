"""A bare node as a machine of the cloud: it has instance metadata, a role, and user data.

Simulated: the metadata service, and cloud-init, which would run the user data. All that they start is real.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cloud.servers import ACCESS_KEY, SECRET_KEY

ADDRESS = "169.254.169.254"
SERVICE = Path(__file__).with_name("metadata_service.py")
FOLDER = "/opt/stand-in"


@dataclass
class Machine:
    """A container that is a host, by the engine's name for it."""

    container: str
    instance: str
    address: str
    metadata: dict[str, str] = field(default_factory=dict)

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

    def gets_a_metadata_service(self) -> None:
        """Give it instance metadata with the credentials of its role."""
        self.metadata = {
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
        # A bare container may not add an address to itself; the engine may.
        self.run(f"ip address replace {ADDRESS}/32 dev lo", privileged=True)
        self.publish_metadata()
        self.run(f"cat >{FOLDER}/service.py <<'PYTHON'\n{SERVICE.read_text()}\nPYTHON")
        command = f"python3 {FOLDER}/service.py {FOLDER}/metadata.json {ADDRESS}"
        self.run(f"systemd-run --quiet --unit=stand-in-metadata {command}")

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
