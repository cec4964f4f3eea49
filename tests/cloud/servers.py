"""Local servers in place of the cloud's, on the address by which a stack's nodes reach this machine.

The S3 server is a real one (versitygw). The Auto Scaling service only notes what it is asked: simulated.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config

from tools.environment import ROOT, state_folder
from tools.s3_server import ensure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Final = "eu-west-1"
ACCESS_KEY = "AKIASTANDINEXAMPLE00"
SECRET_KEY = "stand-in/secret+key-of-the-tests"


@dataclass(frozen=True)
class ObjectStore:
    """An S3 server with one bucket; objects are files in `folder`."""

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
    """Start versitygw, and create the bucket if it is missing."""
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
        wait_for(address, port, server)
        yield ObjectStore(f"http://{address}:{port}", bucket, folder)
    finally:
        server.terminate()
        server.wait()
        log.close()


@dataclass
class ScalingService:
    """Handler that records every query, with the service and region of its signature."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def scaling_service(address: str) -> Iterator[ScalingService]:
    """Start the server on a free port of `address`."""
    service = ScalingService()

    def answer(query: dict[str, str], scope: str) -> bytes:
        service.asked.append({**query, "scope": scope})
        return b""

    with _started(_queries(address, answer)) as service.url:
        yield service


@dataclass
class TokenService:
    """Handler that answers AssumeRole with the S3 server's keys, which know no roles, and records queries."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def token_service(address: str) -> Iterator[TokenService]:
    """Start the server on a free port of `address`. Its credentials have no token: versitygw refuses any."""
    service = TokenService()
    keys = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        f"<AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{escape(SECRET_KEY)}</SecretAccessKey>"
        "<SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ).encode()

    def answer(query: dict[str, str], _: str) -> bytes:
        service.asked.append(query)
        return keys

    with _started(_queries(address, answer)) as service.url:
        yield service


def _queries(address: str, answer: Callable[[dict[str, str], str], bytes]) -> ThreadingHTTPServer:
    """A server whose body is `answer` to the query and to the scope of the signature."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scope = self.headers["authorization"].split("Credential=")[1].split(",")[0]
            body = answer(dict(parse_qsl(urlsplit(self.path).query)), scope)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """In silence."""

    return ThreadingHTTPServer((address, 0), Handler)


@contextmanager
def _started(server: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield "http://{}:{}".format(*server.server_address[:2])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_for(address: str, port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server accepts connections; it is an error if it ends before."""
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            assert server.poll() is None, "the server ended; its log lies beside its folder, or in it"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.1)
