"""`fab ui`: web pages of a cluster's daemons, by tunnels from this machine's loopback."""

from __future__ import annotations

import urllib.error
import urllib.request

from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster, WebPage
from bootstrap.ssh.tunnel import LOOPBACK, Tunnel, tunnels

PATIENCE = 10.0
"""Seconds for a page's first answer."""
HDINSIGHT_HEAD = "headnodehost"
"""Name of the active head node on HDInsight's nodes."""


def pages(cluster: Cluster) -> list[WebPage]:
    """Return the pages of the cluster's scheduler and of Spark's history server. Pure."""
    # HDInsight has its own history server, on the cluster's address; ours is on the head's loopback.
    history = HDINSIGHT_HEAD if cluster.members.managed else LOOPBACK
    return [cluster.scheduler.web, WebPage("Spark history", history, paths.HISTORY_PORT)]


def serve(cluster: Cluster, console: Console) -> None:
    """Open the tunnels, print the pages' URLs, and keep them open until Ctrl-C.

    Raises:
        Unreachable: the head does not answer, or the connection broke.
        ConfigError: the operator's private key cannot be read, or this machine has no OpenSSH client.
    """
    found = pages(cluster)
    try:
        with tunnels(cluster, cluster.head, [(page.host, page.port) for page in found]) as opened:
            for page, tunnel in zip(found, opened.opened, strict=True):
                console.print(_line(cluster, page, tunnel), soft_wrap=True)
            console.print("Ctrl-C closes the tunnels.")
            opened.wait()
    except KeyboardInterrupt:
        console.print("The tunnels are closed.")


def _line(cluster: Cluster, page: WebPage, tunnel: Tunnel) -> str:
    url = f"http://{LOOPBACK}:{tunnel.local_port}/"
    line = f"{page.title:<20} {url}"
    if not _answers(url):
        return f"{line}  (does not answer; run `fab doctor --stack {cluster.stack}`)"
    if tunnel.local_port != tunnel.port:
        return f"{line}  (port {tunnel.port} of this machine is taken)"
    return line


def _answers(url: str) -> bool:
    """Return True if anything at the URL speaks HTTP; a proxy of this machine is not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True
