"""State of HDFS's NameNode, as a node of the cluster sees it."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from bootstrap import paths
from bootstrap.errors import ServiceDown
from bootstrap.ssh.remote import Remote

NAMENODE_HTTP = 9870
STARTUP_S = 30
"""Seconds after a NameNode's start during which we wait for its DataNodes to report."""

_STATE = """
import json, socket, sys, time, urllib.request
host, port, http, young = sys.argv[1], *map(int, sys.argv[2:])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
def bean(name):
    query = "http://%s:%d/jmx?qry=Hadoop:service=NameNode,name=%s" % (host, http, name)
    return json.load(opener.open(query, timeout=5))["beans"][0]
try:
    socket.create_connection((host, port), 3).close()
except OSError as error:
    print("down", error); sys.exit()
try:
    while True:
        state = bean("FSNamesystemState")
        usable = state["FSState"] == "Operational" and state["NumLiveDataNodes"] > 0
        if usable or time.time() - bean("NameNodeInfo").get("NNStartedTimeInMillis", 0) / 1000 > young:
            break
        time.sleep(0.5)
    print(state["FSState"].split()[0], int(state["NumLiveDataNodes"]), int(state["CapacityRemaining"]))
except Exception as error:
    print("silent", error)
"""


def require_writable(head: Remote, uri: str) -> None:
    """Check that the HDFS at `uri` takes writes; takes well under a second, unless its NameNode just started.

    Raises:
        ServiceDown: the NameNode is down or in safe mode, or no DataNode is alive.
    """
    parts = urlsplit(uri)
    host, port = parts.hostname or "head", parts.port or 8020
    result = head.run(
        f"{paths.ANY_PYTHON} - {shlex.quote(host)} {port} {NAMENODE_HTTP} {STARTUP_S} <<'STATE'\n"
        f"{_STATE}\nSTATE\n",
        timeout=STARTUP_S + 30,
    )
    state, _, rest = result.stdout.strip().partition(" ")
    again = "then rerun this command"
    if state == "down":
        raise ServiceDown(
            uri,
            f"its NameNode does not answer ({rest})",
            f"Run `fab bootstrap`, which starts it, {again}; `fab doctor` shows details.",
        )
    if state == "silent":
        raise ServiceDown(
            uri,
            f"its NameNode does not report its state on port {NAMENODE_HTTP} ({rest})",
            f"Run `fab doctor`, {again}.",
        )
    live, _, free = rest.partition(" ")
    if live == "0":
        raise ServiceDown(
            uri,
            "no DataNode is alive",
            f"Run `fab bootstrap`, which starts them, {again}; `fab doctor` shows details.",
        )
    if state.lower() == "safemode":
        raise ServiceDown(
            uri,
            "HDFS is in safe mode and takes no writes",
            "Wait for its DataNodes to report, or run on the head: "
            f"sudo -u {paths.HDFS_USER} {paths.HDFS} dfsadmin -safemode leave",
        )
    if int(free or 0) <= 0:
        raise ServiceDown(uri, "its disks are full", "Free space on the workers.")
