"""The state of a NameNode: why shared storage takes no writes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bootstrap.errors import ServiceDown
from bootstrap.storage import namenode
from bootstrap.storage.hadoop import SharedStorage
from tests.bootstrap.local_node import LocalNode
from tests.cloud.arm import closed_port


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    return LocalNode(tmp_path)


@contextmanager
def _namenode(*bodies: str) -> Iterator[tuple[int, int]]:
    """A NameNode that answers with each body in turn, and then with the last."""
    answers = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write((answers.pop(0) if len(answers) > 1 else answers[0]).encode())

        def log_message(self, *_: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as rpc:
        yield rpc.getsockname()[1], http.server_port
    http.shutdown()
    http.server_close()


def _state(state: str, live: int = 2, free: int = 10**9) -> str:
    bean = f'{{"FSState": "{state}", "NumLiveDataNodes": {live}, "CapacityRemaining": {free}}}'
    return f'{{"beans": [{bean}]}}'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (_state("Operational"), None),
        (_state("safeMode"), "safe mode"),
        (_state("Operational", live=0), "no DataNode"),
        (_state("Operational", free=0), "full"),
        ("not json", "does not report its state"),
        (_state("Operational", free="much"), "does not report its state"),  # type: ignore[arg-type]
    ],
)
def test_an_unwritable_storage_is_explained(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch, body: str, why: str | None
) -> None:
    with _namenode(body) as (rpc, http):
        monkeypatch.setattr(namenode, "NAMENODE_HTTP", http)
        storage = SharedStorage(node, f"hdfs://127.0.0.1:{rpc}")
        if why is None:
            storage.require_writable()
        else:
            with pytest.raises(ServiceDown, match=why):
                storage.require_writable()


def test_a_namenode_that_has_just_started_is_waited_for(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = [_state("safeMode", live=0), f'{{"beans": [{{"NNStartedTimeInMillis": {time.time() * 1000}}}]}}']
    body += [_state("Operational", live=1)]
    with _namenode(*body) as (rpc, http):
        monkeypatch.setattr(namenode, "NAMENODE_HTTP", http)
        SharedStorage(node, f"hdfs://127.0.0.1:{rpc}").require_writable()


def test_a_namenode_that_is_down_is_reported_at_once(node: LocalNode) -> None:
    with pytest.raises(ServiceDown, match="NameNode does not answer"):
        SharedStorage(node, f"hdfs://127.0.0.1:{closed_port()}").require_writable()
