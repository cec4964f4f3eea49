"""A machine's requests: attempts, refusals, and servers that do not end their answers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bootstrap.join.on_node import aws
from tests.drip import dripping


def test_an_answer_that_comes_a_byte_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "LIMIT", 0.3)
    monkeypatch.setattr(aws, "credentials", lambda: {"AccessKeyId": "a", "SecretAccessKey": "s"})
    with dripping() as url:
        monkeypatch.setattr(aws, "setting", {"metadata": url, "region": "eu-west-1"}.__getitem__)
        with pytest.raises(RuntimeError, match=r"the answer did not end in 0\.3 s"):
            aws.call("s3", f"{url}key")
        with pytest.raises(RuntimeError, match=r"the answer did not end in 0\.3 s"):
            aws.metadata("api/token")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Serves these answers, one for each request, the last one for ever; returns the URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: tuple[int, str]) -> str:
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, text = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            do_HEAD = do_PUT = do_GET

            def log_message(self, *_: object) -> None:
                """In silence."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        settings = {"metadata": url, "region": "eu-west-1", "bucket_url": url}
        monkeypatch.setattr(aws, "setting", settings.__getitem__)
        return f"{url}/key"

    monkeypatch.setattr(aws, "credentials", lambda: {"AccessKeyId": "a", "SecretAccessKey": "s"})
    monkeypatch.setattr(aws, "FIRST", 0.001)
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


PAGE = "<html>\n<body>\n<h1>Service Unavailable</h1>\n</body>\n</html>"


@pytest.mark.parametrize(
    "refusal",
    [
        (403, "<Code>AccessDenied</Code>"),
        (500, PAGE),
        (503, "<Code>SlowDown</Code>"),
        (429, ""),
        (400, "<Error>\n<Code>Throttling</Code></Error>"),
        (400, "<Code>RequestTimeout</Code>"),
    ],
)
def test_what_changes_by_itself_is_attempted_again(
    cloud: Callable[..., str], refusal: tuple[int, str]
) -> None:
    url = cloud(refusal, refusal, (200, "hello"))
    assert aws.persist(10, lambda: aws.call("s3", url)) == b"hello"


@pytest.mark.parametrize("refusal", [(400, "<Code>ValidationError</Code>"), (405, ""), (412, "")])
def test_what_does_not_change_is_told_at_once(cloud: Callable[..., str], refusal: tuple[int, str]) -> None:
    url = cloud(refusal, (200, "hello"))
    with pytest.raises(aws.Refusal, match=f"GET {url}: {refusal[0]} "):
        aws.persist(10, lambda: aws.call("s3", url))


def test_a_page_in_place_of_an_answer_is_one_line(cloud: Callable[..., str]) -> None:
    url = cloud((500, PAGE + "x" * 10_000))
    with pytest.raises(RuntimeError) as refused:
        aws.call("s3", url, "PUT", b"{}")
    said = str(refused.value)
    assert said.startswith(f"PUT {url}: 500 <html> <body> <h1>Service Unavailable</h1>")
    assert "\n" not in said
    assert len(said) < 600


def test_attempts_end_with_the_last_refusal(cloud: Callable[..., str]) -> None:
    url = cloud((403, "AccessDenied"))
    with pytest.raises(RuntimeError, match="403 AccessDenied"):
        aws.persist(0.02, lambda: aws.call("s3", url))


def test_a_machine_without_credentials_yet_waits_for_them() -> None:
    missing = [IndexError("no role"), OSError("no route")]

    def work() -> str:
        if missing:
            raise missing.pop()
        return "done"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "FIRST", 0.001)
        assert aws.persist(10, work) == "done"


def test_a_script_that_is_uploaded_later_is_waited_for(cloud: Callable[..., str]) -> None:
    cloud((403, "AccessDenied"), (404, ""), (200, "true"))
    assert aws.fetch("script.sh", hashlib.sha256(b"true").hexdigest()) == b"true"


def test_an_object_can_be_asked_for_without_its_content(cloud: Callable[..., str]) -> None:
    assert aws.call("s3", cloud((200, "hello")), "HEAD") == b""
    assert aws.call("s3", cloud((404, "")), "HEAD") is None


def test_an_answer_that_is_too_long_is_given_up(cloud: Callable[..., str]) -> None:
    url = cloud((200, "x" * 100))
    with pytest.raises(RuntimeError, match="more than 99 bytes"):
        aws.call("s3", url, most=99)
