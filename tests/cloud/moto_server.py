"""An AWS account of moto's behind HTTP, for programs that ask it from outside this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

from bootstrap.join.on_node import aws


@contextmanager
def moto_server(address: str = "127.0.0.1") -> Iterator[str]:
    """Yield the URL of an empty account."""
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        url = f"http://{address}:{port}"
        # All servers of a process, and its mocks, share one account.
        urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
        yield url
    finally:
        server.stop()


def asked_by_nodes(monkeypatch: pytest.MonkeyPatch, url: str, **settings: str) -> None:
    """Have the programs of nodes, run in this process, ask that account."""
    known = {"region": "eu-west-1", "autoscaling_url": url, "ec2_url": url, **settings}
    keys = {"AccessKeyId": "testing", "SecretAccessKey": "testing"}
    monkeypatch.setattr(aws, "setting", lambda name: known[name])
    monkeypatch.setattr(aws, "credentials", lambda: keys)
