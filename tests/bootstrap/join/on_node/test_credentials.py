"""The endpoint of the jobs' credentials against stand-ins of STS and of the metadata service, on loopback."""

from __future__ import annotations

import calendar
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import botocore.session
import pytest

from bootstrap.join.on_node import aws, credentials
from bootstrap.join.on_node.credentials import Credentials, Server
from tests.cloud.moto_server import moto_server
from tests.threads import threads_run_out

ROLE = "arn:aws:iam::123456789012:role/caffe-spark-x-job-1"
INSTANCE = "i-0123456789abcdef0"
PATH = "/job-role"
MACHINE = {"AccessKeyId": "AKIAMACHINE", "SecretAccessKey": "machine", "Token": "of-the-machine"}
METADATA = {
    "instance-id": INSTANCE,
    "iam/security-credentials/": "machine",
    "iam/security-credentials/machine": json.dumps(MACHINE),
}


@dataclass
class Cloud:
    """Both services; STS numbers the keys that it issues, and refuses while `refuses` has words."""

    url: str = ""
    now: float = 1_700_000_000.0
    lifetime: float = 3600.0
    refuses: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str, headers: Message) -> tuple[int, str]:
        if path.startswith("/latest/meta-data/"):
            if headers["X-aws-ec2-metadata-token"] != "a-token":
                return 401, ""
            return 200, METADATA[path.removeprefix("/latest/meta-data/")]
        signed = headers["authorization"].split("Credential=")[1].split(",")[0]
        token = headers["x-amz-security-token"]
        self.asked.append({**dict(parse_qsl(urlsplit(path).query)), "signed": signed, "token": token})
        if self.refuses:
            return 403, self.refuses
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now + self.lifetime))
        number = len(self.asked)
        return 200, (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
            f"<Credentials><AccessKeyId>ASIAJOB{number}</AccessKeyId><SecretAccessKey>job/{number}+"
            f"</SecretAccessKey><SessionToken>token-{number}</SessionToken><Expiration>{until}</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Run a server in a thread; its URL."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def address_of(url: str) -> tuple[str, int]:
    host, _, port = urlsplit(url).netloc.partition(":")
    return host, int(port)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The cloud of a machine whose clock is the cloud's."""
    here = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.say(200, "a-token")

        def do_GET(self) -> None:
            self.say(*here.answer(self.path, self.headers))

        def say(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """In silence."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        here.url = url
        settings = {"metadata": url, "region": "eu-west-1", "job_role": ROLE, "sts_url": url}
        monkeypatch.setattr(aws, "setting", lambda name: settings[name])
        monkeypatch.setattr(time, "time", lambda: here.now)
        monkeypatch.setattr(credentials, "PATIENCE", 0.05)
        yield here


@contextmanager
def endpoint(kept: Credentials) -> Iterator[str]:
    """The endpoint with these credentials; its URL."""
    with serving(Server(("127.0.0.1", 0), PATH, kept)) as url:
        yield url + PATH


def get(url: str, method: str = "GET") -> tuple[int, dict[str, str]]:
    """Return status and answer; an answer that is no JSON is empty."""
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return error.code, json.loads(text) if text.startswith("{") else {}


def key(kept: Credentials) -> str:
    """The access key that is served; empty if none is."""
    document, _ = kept.current()
    return document["AccessKeyId"] if document else ""


def test_an_sdk_takes_its_credentials_from_the_endpoint(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Credentials()
    cloud.now = float(calendar.timegm(time.gmtime()))
    kept.renew()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    with endpoint(kept) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        found = botocore.session.Session().get_credentials()
        assert found is not None
        assert found.method == "container-role"
        frozen = found.get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("ASIAJOB1", "job/1+", "token-1")


def test_the_machine_assumes_the_jobs_role_with_its_own_and_says_who_it_is(cloud: Cloud) -> None:
    Credentials().renew()
    (asked,) = cloud.asked
    assert (asked["Action"], asked["RoleArn"]) == ("AssumeRole", ROLE)
    assert (asked["RoleSessionName"], asked["DurationSeconds"]) == (INSTANCE, "3600")
    assert asked["signed"].split("/")[0] == MACHINE["AccessKeyId"]
    assert asked["signed"].split("/")[2:] == ["eu-west-1", "sts", "aws4_request"]
    assert asked["token"] == MACHINE["Token"]


def test_it_understands_what_sts_answers(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    with moto_server() as url:
        settings = {"metadata": cloud.url, "region": "eu-west-1", "job_role": ROLE, "sts_url": url}
        monkeypatch.setattr(aws, "setting", lambda name: settings[name])
        got = credentials.assumed()
    assert got["AccessKeyId"].startswith("ASIA")
    assert got["SecretAccessKey"]
    assert got["Token"]
    assert credentials.seconds(got["Expiration"]) > cloud.now


def test_credentials_are_renewed_when_less_than_half_of_their_time_is_left(cloud: Cloud) -> None:
    kept = Credentials()
    assert kept.renew() == pytest.approx(1800)
    cloud.now += 1700
    assert kept.renew() == pytest.approx(100)
    assert (key(kept), len(cloud.asked)) == ("ASIAJOB1", 1)
    cloud.now += 200
    kept.renew()
    assert (key(kept), len(cloud.asked)) == ("ASIAJOB2", 2)


def test_while_sts_refuses_the_valid_ones_are_served(cloud: Cloud) -> None:
    kept = Credentials()
    kept.renew()
    cloud.refuses, cloud.now = "<Error>AccessDenied</Error>", cloud.now + 1900
    assert kept.renew() == credentials.RETRY
    assert key(kept) == "ASIAJOB1"
    cloud.refuses = ""
    kept.renew()
    assert key(kept) == "ASIAJOB3"


def test_without_credentials_the_endpoint_says_why(cloud: Cloud) -> None:
    kept = Credentials()
    with endpoint(kept) as url:
        assert get(url)[0] == 503
        cloud.refuses = "<Error>AccessDenied: not authorized to perform sts:AssumeRole</Error>"
        kept.renew()
        status, said = get(url)
    assert status == 503
    assert "not authorized to perform sts:AssumeRole" in said["message"]
    assert "AccessKeyId" not in said


def test_expired_credentials_are_not_served(cloud: Cloud) -> None:
    kept = Credentials()
    kept.renew()
    cloud.refuses, cloud.now = "<Error>ServiceUnavailable</Error>", cloud.now + 3601
    kept.renew()
    document, reason = kept.current()
    assert document is None
    assert "they expired at 2023-11-14T23:13:20Z" in reason
    assert "ServiceUnavailable" in reason


def test_an_answer_without_credentials_is_a_reason_and_not_the_end(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Credentials()
    monkeypatch.setattr(aws, "call", lambda *_: b"<html>a proxy</html>")
    assert kept.renew() == credentials.RETRY
    assert "has no credentials in its answer" in kept.current()[1]


def test_a_machine_whose_clock_is_ahead_does_not_ask_without_end(cloud: Cloud) -> None:
    cloud.lifetime = -60
    assert Credentials().renew() >= credentials.RETRY


@pytest.mark.parametrize("path", ["/", "/job-role/", "/job-role?x", "/latest/meta-data/"])
def test_other_paths_have_nothing(cloud: Cloud, path: str) -> None:
    kept = Credentials()
    kept.renew()
    with endpoint(kept) as url:
        status, said = get(url.removesuffix(PATH) + path)
    assert status == 404
    assert "AccessKeyId" not in said


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_nothing_is_changed_through_the_endpoint(cloud: Cloud, method: str) -> None:
    with endpoint(Credentials()) as url:
        assert get(url, method)[0] == 501


def test_clients_that_say_nothing_keep_nobody_else_out(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "LIMIT", 0.3)
    kept = Credentials()
    kept.renew()
    with endpoint(kept) as url, ExitStack() as silent:
        address = address_of(url)
        for _ in range(credentials.THREADS + 2):
            silent.enter_context(socket.create_connection(address))
        assert get(url)[0] == 200


@pytest.mark.parametrize("of", [threading.Thread, threading.Timer])
def test_a_connection_that_no_thread_can_serve_keeps_no_place(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, of: type[threading.Thread]
) -> None:
    kept = Credentials()
    kept.renew()
    with endpoint(kept) as url:
        address = address_of(url)
        with threads_run_out(monkeypatch, of):
            for _ in range(credentials.THREADS + 1):
                with socket.create_connection(address, 5) as refused:
                    assert refused.recv(1) == b""
        assert get(url)[0] == 200
