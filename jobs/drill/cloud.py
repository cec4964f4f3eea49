"""Simulated cloud of a drill: servers that nodes reach, with the metadata, storage and lifecycle interfaces
that their service calls. Nothing of it leaves this machine.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

from bootstrap.cluster import Node
from jobs.drill.metadata import InstanceMetadata
from jobs.drill.record import COMPLETED, LEAVING, LEFT, READ

OnMark = Callable[[str, str, str], object]
"""Receives the kind of a mark, the node and a text."""
GROUP: Final = "drill"
HOOK: Final = "leaving"
_REPORTS: Final = "/reports"
_LONGEST: Final = 1 << 16
"""Bytes of a report."""
_SILENCE: Final = 5
"""Seconds for a read of a request."""
_COMPLETED: Final = (
    '<CompleteLifecycleActionResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">'
    "<CompleteLifecycleActionResult/></CompleteLifecycleActionResponse>"
)


class NodeServer(ThreadingHTTPServer):
    """Server of one node; requests from other addresses are refused."""

    daemon_threads = True

    def __init__(self, bind: str, node: Node, on_mark: OnMark) -> None:
        self.node, self.on_mark = node, on_mark
        self.metadata = InstanceMetadata(
            f"i-drill-{node.name}", node.address, lambda: on_mark(READ, node.name, "")
        )
        super().__init__((bind, 0), _Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of a name, which may take seconds and is of no use."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "drill", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A node that is killed breaks its requests off: no news."""

    @property
    def url(self) -> str:
        """URL that the node reaches it by."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def settings(self) -> dict[str, str]:
        """Return the settings of the node's service, as `bootstrap.join.user_data.Boot.settings` has them."""
        return {
            "role": "worker",
            "region": "drill",
            "bucket_url": self.url + _REPORTS,
            "role_id": "DRILL",
            "autoscaling_group": GROUP,
            "autoscaling_url": self.url,
            "terminate_hook": HOOK,
            "metadata": self.url,
            "rebalance": "",
        }


class _Handler(BaseHTTPRequestHandler):
    server: NodeServer
    timeout = _SILENCE

    def do_PUT(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _LONGEST))
        if self._foreign():
            return
        if self.path == "/latest/api/token":
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") or ""
            forwarded = "X-Forwarded-For" in self.headers
            status, text = self.server.metadata.token(seconds, forwarded=forwarded)
            self._answer(status, text, {"X-aws-ec2-metadata-token-ttl-seconds": seconds} if text else {})
        elif self.path.startswith(_REPORTS):
            self._report(body)
        else:
            self._answer(405, "Method Not Allowed")

    def do_GET(self) -> None:
        if self._foreign():
            return
        asked = parse_qs(urlsplit(self.path).query)
        if asked.get("Action") == ["CompleteLifecycleAction"]:
            result = asked.get("LifecycleActionResult", [""])[0]
            self.server.on_mark(COMPLETED, self.server.node.name, result)
            self._answer(200, _COMPLETED)
            return
        token = self.headers.get("X-aws-ec2-metadata-token") or ""
        self._answer(*self.server.metadata.get(self.path, token))

    def _foreign(self) -> bool:
        foreign = self.client_address[0] != self.server.node.address
        if foreign:
            self._answer(403, "Forbidden")
        return foreign

    def _report(self, body: bytes) -> None:
        try:
            report = json.loads(body)
            state, said = str(report["state"]), str(report["said"])
        except (ValueError, KeyError, TypeError):
            self._answer(400, "Bad Request")
            return
        if state in {LEAVING, LEFT}:
            self.server.on_mark(state, self.server.node.name, said)
        self._answer(200, "")

    def _answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nodes ask every two seconds: not logged."""


@contextmanager
def serving(nodes: Sequence[Node], on_mark: OnMark) -> Iterator[dict[str, NodeServer]]:
    """Serve each node on this machine's address in the nodes' network; yield the servers by node.

    Raises:
        OSError: this machine has no way to a node.
    """
    servers = dict[str, NodeServer]()
    try:
        for node in nodes:
            server = NodeServer(own_address(node.address), node, on_mark)
            servers[node.name] = server
            threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
        yield servers
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()


def own_address(node: str) -> str:
    """Return this machine's address on the way to a node; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((node, 9))
        return str(probe.getsockname()[0])
