"""Fake instance metadata service (IMDSv2), run in a node: `metadata_service.py FILE ADDRESS`.

FILE is a JSON object, path below /latest/meta-data/ → text; it is read at each request, so that a test can
make the cloud change its mind. Without a token every answer is 401, as where http_tokens is `required`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "stand-in-token"
PREFIX = "/latest/meta-data/"


class Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.answer(200 if self.path == "/latest/api/token" and asked else 400, TOKEN)

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self.answer(401, "no token")
            return
        known = json.loads(Path(sys.argv[1]).read_text())
        key = self.path[len(PREFIX) :]
        self.answer(200 if key in known else 404, known.get(key, ""))

    def answer(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """In silence."""


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[2], 80), Handler).serve_forever()
