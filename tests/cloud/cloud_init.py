"""Real cloud-init on a machine, and images of a machine that has it.

Simulated: the data source. cloud-init reads user data, name and instance id from a folder (NoCloud), not from
the instance metadata service, whose stand-in runs on the machine itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from bootstrap.images import generalize
from bootstrap.images.bake import CLEANING_S
from bootstrap.ssh.remote import connect
from infra.local import probe
from infra.local.image import IMPORT_CHANGES
from tests.cloud.joining import Joining
from tests.cloud.machine import ENGINE, FOLDER, Machine, put

PLACES = "/etc /home /opt/caffe-spark /root /srv /tmp /usr/local /var"
"""Folders of an image that may hold what tells a machine."""
SEED = "/var/lib/cloud/seed/nocloud"
BEGUN = f"{FOLDER}/begun"
"""When the user data began, in seconds since the epoch."""
STOPPING_S = 60
IMAGE_S = 600
"""Seconds for an image of two gigabytes."""
CONFIG = """\
datasource_list: [NoCloud]
# The engine sets up the network, and the image the mirrors; there are no disks.
network: {config: disabled}
apt: {preserve_sources_list: true}
growpart: {mode: 'off'}
resize_rootfs: false
locale: false
users: []
"""
INSTALL = f"""\
set -eu
export DEBIAN_FRONTEND=noninteractive
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get update -qq
apt-get install -y -qq --no-install-recommends cloud-init >/dev/null
cat >/etc/cloud/cloud.cfg.d/99-stand-in.cfg <<'CONFIG'
{CONFIG}CONFIG
echo installed
"""


def install(machine: Machine) -> None:
    """Install cloud-init, which a distributor's image has; it works from the next boot on."""
    said = machine.run(INSTALL)
    assert said.endswith("installed\n"), said


def give(machine: Machine, user_data: str) -> None:
    """Give user data and metadata to a machine that does not run."""
    shebang, rest = user_data.split("\n", 1)
    named = {"instance-id": machine.instance, "local-hostname": machine.name}
    files = {
        f"{SEED}/meta-data": json.dumps(named),
        f"{SEED}/user-data": f"{shebang}\ndate +%s.%N >{BEGUN}\n{rest}",
        f"{FOLDER}/metadata.json": json.dumps(machine.metadata),
    }
    put(machine.container, {path.lstrip("/"): text for path, text in files.items()})


def remove_identity(joining: Joining, machine: Machine) -> None:
    """Run the script of `fab bake-image` on a ready machine, and remove what stands for the cloud there."""
    report = joining.joined(machine)
    with connect(*joining.node(report)) as remote:
        done = remote.run(generalize.script(), check=False, timeout=CLEANING_S)
    assert done.ok, done.tail
    machine.run(f"rm -rf {SEED} {BEGUN} {FOLDER}/metadata.json")


def image_of(machine: Machine, tag: str) -> str:
    """Stop a machine as EC2 does for an image, and make the image; return its name."""
    ENGINE.run("stop", "--time", str(STOPPING_S), machine.container)
    ENGINE.run("commit", "--quiet", *IMPORT_CHANGES, machine.container, tag, timeout=IMAGE_S)
    return tag


def files_with(image: str, words: Iterable[str]) -> list[str]:
    """Return the files of an image in which any of these words stands."""
    search = f"cat >/run/words; grep -rlF -D skip -f /run/words {PLACES} || [ $? -eq 1 ]"
    flags = probe.find(ENGINE, image).arguments
    given = "\n".join(words).encode()
    command = ("run", "--rm", "-i", "--network=none", *flags, image, "sh", "-c", search)
    return ENGINE.run(*command, stdin=given).splitlines()
