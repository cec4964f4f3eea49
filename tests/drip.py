"""Web servers on loopback that do not serve: a byte now and then, or answers that break off."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAUSE = 0.05
"""Seconds between two bytes: shorter than any client's timeout."""
LENGTH = 400
"""Bytes after which it ends all the same, so that a client without a limit fails its test soon."""


@contextmanager
def dripping(start: bytes = b"", *, headers: bool = False) -> Iterator[str]:
    """Serve; yield the URL. Each answer begins with `start`; `headers`: it never comes to its content."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(start) + LENGTH))
            if headers:
                self.flush_headers()
                self.wfile.write(b"X-Slow: ")
            else:
                self.end_headers()
                self.wfile.write(start)
            for _ in range(LENGTH):
                if over.wait(PAUSE):
                    return
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return

        do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Start a server that answers its first request with these bytes and then closes; yield its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(10)


CUT = {
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000,
    "cut in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx",
    "no HTTP": b"no HTTP at all\r\n\r\n",
}
"""Answers that break off."""
