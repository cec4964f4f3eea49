"""Livy on loopback, answering as its documentation says, with storage in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from bootstrap.errors import CommandFailed, ServiceDown

URI = "wasbs://files@account1.blob.core.windows.net"
PASSWORD = "not-To-be-5een!"
EVENTS = [
    {"event": "phase", "time": 1.0, "phase": "train"},
    {"event": "trained", "time": 4.0, "iterations": 7, "images_per_s": 9, "model": "m", "hosts": ["wn0"]},
    {"event": "done", "time": 6.0},
]
ROWS = [{"SampleID": str(number), "accuracy": [1.0], "loss": [0.5], "label": [1]} for number in range(4)]


class Memory:
    uri = URI

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/data/mnist/manifest.json": b"{}"}
        self.failing = 0
        self.starts: list[int] = []
        """Offsets that were read from."""
        self.longest = 0
        """Bytes of the longest part that was read."""
        self._lock = threading.Lock()

    def url(self, path: str) -> str:
        return f"{URI}/{path.lstrip('/')}"

    def read(self, path: str, *, max_size: int) -> bytes | None:
        data = self.files.get("/" + path.lstrip("/"))
        if data is not None and len(data) > max_size:
            raise CommandFailed(path, "it is too long", "Remove it.")
        return data

    def part(self, path: str, start: int, size: int) -> tuple[bytes, int]:
        self.starts.append(start)
        if self.failing:
            self.failing -= 1
            raise ServiceDown("reading events", "storage does not answer", "Look.")
        data = self.files.get("/" + path.lstrip("/"), b"")
        self.longest = max(self.longest, len(data[start : start + size]))
        return data[start : start + size], max(start, len(data))

    def write_new(self, path: str, data: bytes) -> bool:
        with self._lock:
            if self.exists(path):
                return False
            self.write(path, data)
            return True

    def copy(self, path: str, to: IO[bytes]) -> None:
        to.write(self.files["/" + path.lstrip("/")])

    def write(self, path: str, data: bytes | Path) -> None:
        self.files["/" + path.lstrip("/")] = data if isinstance(data, bytes) else data.read_bytes()

    def exists(self, path: str) -> bool:
        return "/" + path.lstrip("/") in self.files

    def list(self, prefix: str = "") -> list[str]:
        return sorted(path.lstrip("/") for path in self.files if path.lstrip("/").startswith(prefix))


class LivyServer:
    """Batches that walk through these states, one at each question."""

    def __init__(self, storage: Memory) -> None:
        self.states = ["starting", "running", "success"]
        self.events: list[dict[str, Any]] = list(EVENTS)
        self.log = ["stdout: ", "what spark-submit said"]
        self.application: str | None = "application_1_0007"
        self.submitted: dict[str, Any] = {}
        self.deleted = False
        self.status = 201
        self.failing = 0
        """So many answers about a batch are 502; a negative number: all."""
        self.forgotten = False
        """Set when Livy has removed the batch, as it does some time after its end."""
        self.dropping = False
        """Set to close connections without a response."""
        self.cuts: list[int] = []
        """Bytes that the copy of the events lacks, one at each question."""
        self.on_post: Callable[[], None] = lambda: None
        self.on_state: Callable[[], None] = lambda: None
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.headers = dict(self.headers)
                outer.submitted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.on_post()
                if not outer.dropping:
                    self.answer({"id": 7, "state": "starting"}, outer.status)

            def do_GET(self) -> None:
                if outer.failing:
                    outer.failing -= 1
                    self.answer({"error": "Bad Gateway"}, 502)
                elif self.path.endswith("/state") and not outer.forgotten:
                    state = outer.states.pop(0) if len(outer.states) > 1 else outer.states[0]
                    if state != "starting":
                        name = outer.submitted["name"]
                        text = "".join(json.dumps(event) + "\n" for event in outer.events)
                        cut = outer.cuts.pop(0) if outer.cuts else 0
                        storage.write(f"/jobs/{name}/events.jsonl", text.encode()[: len(text) - cut])
                        rows = "".join(json.dumps(row) + "\n" for row in ROWS)
                        storage.write(f"/jobs/{name}/features/part-0", rows.encode())
                    outer.on_state()
                    self.answer({"id": 7, "state": state})
                elif outer.forgotten and "/batches/7" in self.path:
                    self.answer({"msg": "Session '7' not found."}, 404)
                elif self.path.partition("?")[0].endswith("/batches"):
                    self.answer({"sessions": [{"id": 7, "name": outer.submitted.get("name")}]})
                elif self.path.endswith("/7"):
                    self.answer({"id": 7, "appId": outer.application})
                else:
                    self.answer({"id": 7, "log": outer.log})

            def do_DELETE(self) -> None:
                outer.deleted = not outer.failing
                self.answer({"msg": "deleted"}, 502 if outer.failing else 200)

            def answer(self, document: dict[str, Any], status: int = 200) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
