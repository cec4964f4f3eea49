"""Use of the head: jobs, applications, compilations and people. Runs as root; standard library only."""

import fcntl
import http.client
import json
import re
import subprocess
import urllib.request
from contextlib import suppress
from typing import List

from bootstrap.join.on_node import aws

JOB = re.compile(r"[a-z][a-z0-9-]{0,79}")
LISTED = 16 << 20
"""Bytes of what Spark's master lists, at most."""
CONNECTIONS = "/proc/net/tcp", "/proc/net/tcp6"
ESTABLISHED, SSH = "01", ":0016"
"""State and local port of a connection, as the kernel writes them."""


def running_jobs() -> List[str]:
    """Return the ids of the jobs whose units run."""
    return [name for name in running(aws.setting("unit")) if JOB.fullmatch(name)]


def running(prefix: str) -> List[str]:
    """Return the names of the units that run, without this beginning."""
    states = "--state=active,activating,deactivating,reloading"
    command = ["systemctl", "list-units", "--plain", "--no-legend", "--full", "--all", states]
    shown = subprocess.check_output([*command, prefix + "*.service"], timeout=60).decode(errors="replace")
    units = [line.split()[0] for line in shown.splitlines() if line.split()]
    return sorted(unit[len(prefix) : -len(".service")] for unit in units)


def busy() -> bool:
    """Return whether the machine is provisioned, compiles or converts, or Spark has an application."""
    if running(aws.setting("build_unit")) or running(aws.setting("convert_unit")):
        return True
    with suppress(OSError), open(aws.setting("lock")) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return applications()


def applications() -> bool:
    """Return whether Spark's master has an application.

    Drivers run on this machine as the master's user: one could answer in its place, and must not keep the
    account from being kept.
    """
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(aws.setting("master"), timeout=5) as answer:
            text = aws.whole(answer, aws.setting("master"), 10, LISTED)
        return bool(json.loads(text.decode())["activeapps"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, http.client.HTTPException):
        return False  # Spark is not up: then none has


def attended() -> bool:
    """Return whether anybody is connected by SSH: a session, or a transfer of data."""
    for path in CONNECTIONS:
        with suppress(OSError), open(path) as file:
            for line in file:
                fields = line.split()
                if len(fields) > 3 and fields[1].endswith(SSH) and fields[3] == ESTABLISHED:
                    return True
    return False
