"""Scripts on the worker that an image is made of: what it has, and the removal of its identity. Pure.

After the removal its next boot is a first one: cloud-init runs the user data again, which write the program
and its settings, make host keys and join. So the reboot for the image shows on the worker itself that a
machine with this image becomes a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bootstrap import paths
from bootstrap.engine.script import ENVIRONMENT

BUSY: Final = 75
"""Exit status when a job or another command uses the node; nothing has been changed."""
UNSUITABLE: Final = 69
"""Exit status when the machine would not boot as a new one; nothing has been changed."""
UNITS: Final = ("caffe-spark-*.service", "spark-worker.service")
"""Units of roles and of the boot program. Enabled, they would start with the old worker's name before the
user data of the new machine have run; roles and user data enable them again."""
SCRATCH: Final = (
    paths.BUILDS,
    paths.JOBS,
    "/var/lib/spark/local",
    "/var/lib/spark/work",
    paths.SPARK_TMP,
)
"""Folders that are emptied, and stay."""
TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 - the system's
HOMES: Final = ("/var/lib/spark", "/var/lib/hdfs")
"""Homes of the users of jobs and of HDFS, by role `common`; jobs may write there."""
LIBRARY: Final = "/usr/local/lib/caffe-spark"
"""As in `bootstrap.join.program`."""
AGENT: Final = "amazon-cloudwatch-agent"
"""Service of role `cloud_logs`, which sends logs to the old worker's stack; its folder in /opt/aws."""


@dataclass(frozen=True)
class Found:
    """What a worker has: whether a job runs, its distribution, its framework's key, NVIDIA's driver."""

    busy: bool
    distribution: str
    framework: str
    nvidia: bool


def look() -> str:
    """Return the script whose output `found` reads; it changes nothing."""
    return f"""{ENVIRONMENT}
. /etc/os-release
echo "distribution=$ID-$VERSION_ID"
echo "framework=$(basename "$(readlink {paths.CAFFE_HOME} || true)")"
! pgrep -f CoarseGrainedExecutorBackend >/dev/null || echo busy=yes
! nvidia-smi -L >/dev/null 2>&1 || echo nvidia=yes
"""


def found(output: str) -> Found:
    """Return what the script has printed."""
    said = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    return Found("busy" in said, said.get("distribution", ""), said.get("framework", ""), "nvidia" in said)


def script(root: str = "") -> str:
    """Return the script that stops a worker's services and removes its identity; `root`: another folder for
    `/`, in tests.

    It keeps what the next machine saves: packages, Java, Spark, Hadoop, Python environments, frameworks.
    """
    etc, var = f"{root}/etc", f"{root}/var"
    agent = f"{root}/opt/aws/{AGENT}"
    return f"""{ENVIRONMENT}
set -eu
command -v cloud-init >/dev/null || {{
  echo "it has no cloud-init, which would give a new machine its identity" >&2
  exit {UNSUITABLE}
}}
mkdir -p -m 0700 {root}{paths.RUN}
exec 9>>{root}{paths.RUN}/lock
flock -n 9 || {{ echo "another command works on this node" >&2; exit {BUSY}; }}
if pgrep -f CoarseGrainedExecutorBackend >/dev/null; then
  echo "a job has executors on this node" >&2
  exit {BUSY}
fi
# The watch first: nothing below is a notice.
systemctl stop caffe-spark-watch.service 2>/dev/null || true
systemctl stop spark-worker.service 2>/dev/null || true
for file in {" ".join(f"{etc}/systemd/system/{pattern}" for pattern in UNITS)}; do
  [ -e "$file" ] || continue
  unit=${{file##*/}}
  # The packet filter stays until no process of a job can be left.
  [ "$unit" = caffe-spark-firewall.service ] || systemctl stop "$unit" 2>/dev/null || true
  systemctl disable --quiet "$unit"
done
pkill -KILL -u {paths.JOB_USER} || true
# Where this stack's logs go, and how far they have gone.
if [ -e {etc}/caffe-spark/cloudwatch-agent.json ]; then
  systemctl stop {AGENT} 2>/dev/null || true
  systemctl disable --quiet {AGENT}
  rm -rf {agent}/etc/{AGENT}.d {agent}/etc/{AGENT}.toml {agent}/etc/{AGENT}.yaml {agent}/logs {agent}/var
  mkdir -p {agent}/etc/{AGENT}.d {agent}/logs {agent}/var
fi

# The machine's name, settings, program, and secrets of the stack; roles and user data write them again.
rm -rf {etc}/caffe-spark {root}{LIBRARY}
rm -f {etc}/systemd/system/caffe-spark-boot.service {etc}/systemd/system/caffe-spark-watch.service
rm -rf {etc}/systemd/system/caffe-spark-boot.service.d
rm -f {etc}/spark/spark-defaults.conf {root}{paths.HADOOP_CONF}/s3a-keys.xml
rm -f {root}/run/caffe-spark-notice.json
rm -rf {root}{paths.STAMPS}
# Scratch files of jobs and builds.
for folder in {" ".join(f"{root}{folder}" for folder in SCRATCH)}; do
  [ -d "$folder" ] || continue
  find "$folder" -mindepth 1 -delete
  # The image has no instance store, but what jobs had written to the root volume before it was mounted.
  if mountpoint -q "$folder"; then
    umount --lazy "$folder"
    find "$folder" -mindepth 1 -delete
  fi
done
# Services that still run may make others meanwhile.
find {" ".join(f"{root}{folder}" for folder in TEMPORARY)} -xdev -mindepth 1 -delete 2>/dev/null || true
# Keys: of the machine, and of whoever may log in.
rm -f {etc}/ssh/ssh_host_*
for home in {" ".join([f"{root}/root", f"{root}/home/*", *(f"{root}{home}" for home in HOMES)])}; do
  rm -f "$home/.ssh/authorized_keys" "$home/.ssh/known_hosts" "$home/.bash_history" "$home/.python_history"
  rm -rf "$home/.aws"
done
rm -f {var}/lib/systemd/random-seed {var}/lib/systemd/credential.secret
rm -rf {var}/lib/dhcp/*.leases
# Empty, not missing or `uninitialized`: systemd makes another id, and does not take the boot for the very
# first one, at which it would enable units by its presets (machine-id(5)).
: >{etc}/machine-id
[ -L {var}/lib/dbus/machine-id ] || rm -f {var}/lib/dbus/machine-id
# Logs name the machine.
rm -f {var}/log/caffe-spark-boot.log
journalctl --quiet --rotate --vacuum-time=1s 2>/dev/null || true
rm -rf {var}/log/journal/* {var}/log/amazon
for log in auth.log syslog wtmp btmp lastlog; do [ ! -f "{var}/log/$log" ] || : >"{var}/log/$log"; done
# Last: from here on, the next boot is a first one.
cloud-init clean --logs
sync
"""
