"""The end of a failed boot's log, in CloudWatch Logs (moto) or refused there."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from bootstrap.cluster import CloudLogs
from bootstrap.join.on_node import aws, boot_log
from tests.infra.aws.conftest import moto_server

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

__all__ = ["moto_server"]

GROUP = "caffe-spark/dev"
WITHHELD = "\n".join(CloudLogs.withheld)


@pytest.fixture
def log(tmp_path: Path, moto_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a boot on a machine of moto's cloud."""
    file = tmp_path / "boot.log"
    settings = {
        "region": "eu-west-1",
        "logs_url": moto_server,
        "group": GROUP,
        "log": str(file),
        "withheld": WITHHELD,
    }
    keys = {"AccessKeyId": "a", "SecretAccessKey": "s", "Token": "t"}
    monkeypatch.setattr(aws, "setting", settings.__getitem__)
    monkeypatch.setattr(aws, "credentials", lambda: keys)
    monkeypatch.setattr(aws, "instance", lambda _: "i-1")
    monkeypatch.setattr(boot_log, "PATIENCE", 0.2)
    monkeypatch.setattr(aws, "FIRST", 0.01)
    monkeypatch.setenv("SERVICE_RESULT", "exit-code")
    return file


@pytest.fixture
def logs(moto_server: str) -> CloudWatchLogsClient:
    return boto3.client(
        "logs",
        endpoint_url=moto_server,
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="s",
    )


def events(logs: CloudWatchLogsClient) -> list[str]:
    stream = f"i-1/{boot_log.STREAM}"
    found = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
    return [event["message"] for event in found["events"]]


def test_each_failed_boot_is_an_event_of_the_machines_stream(log: Path, logs: CloudWatchLogsClient) -> None:
    logs.create_log_group(logGroupName=GROUP)
    log.write_text("step 1/2 common: Name every node: ok (0 s)\nboot: failed: no route to the mirror\n")
    assert boot_log.main() == 0
    with log.open("a") as more:
        more.write("boot: failed: again\n")
    assert boot_log.main() == 0
    first, second = events(logs)
    assert first.endswith("boot: failed: no route to the mirror")
    assert second == f"{first}\nboot: failed: again"


def test_a_boot_that_has_succeeded_sends_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_RESULT", "success")
    monkeypatch.setattr(aws, "call", lambda *_, **__: pytest.fail("it asks"))
    assert boot_log.main() == 0


def test_lines_that_look_like_credentials_are_left_out_and_that_is_said(
    log: Path, logs: CloudWatchLogsClient
) -> None:
    logs.create_log_group(logGroupName=GROUP)
    secret = "a" * 43
    log.write_text(f"before\nspark.authenticate.secret {secret}\nit is {secret}\nafter\n")
    assert boot_log.main() == 0
    assert events(logs) == [f"before\n{boot_log.LEFT_OUT}\n{boot_log.LEFT_OUT}\nafter"]


def test_of_a_long_log_whole_lines_of_its_end_are_sent(log: Path, logs: CloudWatchLogsClient) -> None:
    logs.create_log_group(logGroupName=GROUP)
    log.write_bytes(b"".join(b"%06d \xff line\n" % number for number in range(20_000)))
    assert boot_log.main() == 0
    (event,) = events(logs)
    lines = event.splitlines()
    assert lines[-1].startswith("019999 ")
    assert all(len(line) == len(lines[-1]) for line in lines)
    assert boot_log.KEPT / 2 < len(event.encode()) <= 256 << 10


def test_a_boot_that_has_written_nothing_is_told_too(log: Path, logs: CloudWatchLogsClient) -> None:
    logs.create_log_group(logGroupName=GROUP)
    assert boot_log.main() == 0
    assert events(logs) == ["the boot has failed without a log"]


def test_a_refusal_is_told_to_the_journal_and_ends(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text("boot: failed\n")
    assert boot_log.main() == 1  # there is no such group
    assert "the log was not sent: " in capsys.readouterr().err


def test_requests_are_signed_with_the_name_of_the_action(
    log: Path, moto_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All `x-amz-` headers of a request have to be signed:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    seen: list[urllib.request.Request] = []

    def opened(request: urllib.request.Request, **_: object) -> None:
        seen.append(request)
        raise OSError("seen")

    monkeypatch.setattr(urllib.request, "urlopen", opened)
    with pytest.raises(OSError, match="seen"):
        boot_log.ask("PutLogEvents", logGroupName=GROUP)
    (request,) = seen
    headers = {name.lower(): value for name, value in request.header_items()}
    assert headers["x-amz-target"] == "Logs_20140328.PutLogEvents"
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert (
        "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target,"
        in (headers["authorization"])
    )
    assert request.get_method() == "POST"
    assert json.loads(request.data or b"") == {"logGroupName": GROUP}  # type: ignore[arg-type]
