"""An AWS account of moto's behind HTTP, for programs that ask it from outside this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer


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
