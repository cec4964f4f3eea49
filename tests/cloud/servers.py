"""Servers that stand for the cloud's, on the address by which a stack's nodes reach this machine.

The S3 server is a real one (versitygw). The Auto Scaling service only notes what it is asked: simulated.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.config import Config

from tools.environment import ROOT, state_folder
from tools.s3_server import ensure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "eu-west-1"
ACCESS_KEY = "AKIASTANDINEXAMPLE00"
SECRET_KEY = "stand-in/secret+key-of-the-tests"


@dataclass(frozen=True)
class ObjectStore:
    """An S3 server with one bucket; objects lie in `folder` as files."""

    endpoint: str
    bucket: str
    folder: Path

    def client(self) -> S3Client:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}),
        )


@contextmanager
def object_store(address: str, port: int, folder: Path, bucket: str) -> Iterator[ObjectStore]:
    """Start versitygw; the bucket is made where it is not there."""
    binary = ensure(ROOT, state_folder(ROOT) / "log" / "s3-server.log")
    (folder / bucket).mkdir(parents=True, exist_ok=True)
    log = (folder.parent / f"{folder.name}.log").open("a")
    server = subprocess.Popen(
        [binary, "--port", f"{address}:{port}", "--region", REGION, "--quiet", "posix", str(folder)],
        env={**os.environ, "ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_for(address, port, server)
        yield ObjectStore(f"http://{address}:{port}", bucket, folder)
    finally:
        server.terminate()
        server.wait()
        log.close()


@dataclass
class ScalingService:
    """Notes every query, with the service and region that its signature is for."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def scaling_service(address: str) -> Iterator[ScalingService]:
    """Start it on a free port of `address`."""
    service = ScalingService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scope = self.headers["authorization"].split("Credential=")[1].split(",")[0]
            service.asked.append({**dict(parse_qsl(urlsplit(self.path).query)), "scope": scope})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """In silence."""

    server = ThreadingHTTPServer((address, 0), Handler)
    service.url = f"http://{address}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _wait_for(address: str, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            assert server.poll() is None, "the S3 server ended; its log lies beside its folder"
            assert time.monotonic() < deadline, "the S3 server does not listen"
            time.sleep(0.1)
