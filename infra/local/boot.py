"""Flags for systemd as a container's first process, equal on both engines; no node is privileged.

`podman --systemd=always` mounts what systemd needs and makes its control group writable. Docker has no such
flag: the container gets a parent control group of its own, and only that one is mounted writable.
"""

from __future__ import annotations

from typing import Final

from infra.local.engine import CGROUPS, Engine

PODMAN: Final = ("--systemd=always", "--no-hosts")
"""--no-hosts: /etc/hosts is then an ordinary file, which roles can replace; see `infra.local.nodes`."""

CAPABILITIES: Final = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
"""Podman's default. Docker's has MKNOD, NET_RAW and AUDIT_WRITE besides."""

# AUDIT_WRITE: Podman's seccomp profile hides the audit socket; Docker's does not, and sudo complains of its
# refusal.
# `exec`: Docker's default is noexec, and Java loads libraries from /tmp.
_DOCKER: Final = (
    "--cap-drop=ALL",
    *(f"--cap-add={name}" for name in (*CAPABILITIES, "AUDIT_WRITE")),
    *(f"--tmpfs=/{folder}:exec" for folder in ("run", "run/lock", "tmp", "var/log/journal")),
    "--pids-limit=2048",
)


def boot_flags(engine: Engine, container: str) -> tuple[str, ...]:
    """Return flags for a container of that name.

    Raises:
        EngineError: the engine does not answer.
    """
    if engine.podman:
        return PODMAN
    version, driver = engine.run("info", "-f", "{{.CgroupVersion}} {{.CgroupDriver}}").split()
    return docker_flags(container, version, driver)


def docker_flags(container: str, version: str, driver: str) -> tuple[str, ...]:
    """Return Docker's flags for a version (1 or 2) of control groups and a driver of them. Pure."""
    # Each hyphen of a slice's name would be a slice around it.
    parent = f"{container.replace('-', '_')}.slice" if driver == "systemd" else f"/{container}"
    base = CGROUPS if version == "2" else f"{CGROUPS}/systemd"
    own = f"{base}/{parent.lstrip('/')}"
    # systemd finds its group by the path that the machine knows, so that the group need not be known before
    # the container is. With version 1, Docker shows a container nothing of that path.
    way = () if version == "2" else (f"--volume={base}:{base}:ro",)
    return (*_DOCKER, "--cgroupns=host", f"--cgroup-parent={parent}", *way, f"--volume={own}:{own}")
