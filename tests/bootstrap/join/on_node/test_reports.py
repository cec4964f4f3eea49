"""Reports and logs of workers as the head reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.join.on_node import aws, reports

KEY = f"{paths.NODES}/AROA:i-1"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    objects: dict[str, bytes] = {}
    settings = {"bucket_url": "https://s3/bucket", "nodes": paths.NODES}
    monkeypatch.setattr(aws, "setting", settings.__getitem__)
    monkeypatch.setattr(aws, "call", lambda _, url, *__, **___: objects.get(url.partition("/bucket/")[2]))
    return objects


def says(bucket: dict[str, bytes], **report: Any) -> None:
    bucket[f"{KEY}/node.json"] = json.dumps(report).encode()


def test_a_worker_that_has_failed_is_quoted(bucket: dict[str, bytes]) -> None:
    says(bucket, state="failed", said="framework k: ImportError: numpy")
    assert reports.reason("AROA", "i-1") == "framework k: ImportError: numpy"
    assert reports.reason("AROA", "i-2") == ""


@pytest.mark.parametrize("state", ["booting", "ready", "leaving", "left"])
def test_another_state_is_no_failure(state: str, bucket: dict[str, bytes]) -> None:
    says(bucket, state=state, said="the cloud reclaims this spot instance")
    assert reports.reason("AROA", "i-1") == ""


def test_what_a_machine_has_written_is_one_line_that_no_terminal_obeys(bucket: dict[str, bytes]) -> None:
    says(bucket, state="failed", said="a\n\x1b[2Jb\u202e" + "c" * 1000)
    said = reports.reason("AROA", "i-1")
    assert said.isprintable()
    assert len(said) == reports.MOST_SAID
    says(bucket, state="failed", said="")
    assert reports.reason("AROA", "i-1") == "it gives no reason"


@pytest.mark.parametrize("text", [b"[]", b"no JSON", b'"failed"', b"\xff"])
def test_what_is_no_report_is_no_reason(text: bytes, bucket: dict[str, bytes]) -> None:
    bucket[f"{KEY}/node.json"] = text
    assert reports.reason("AROA", "i-1") == ""


def test_a_bucket_that_does_not_answer_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise RuntimeError("GET https://s3: 503")

    monkeypatch.setattr(aws, "setting", lambda name: name)
    monkeypatch.setattr(aws, "call", refused)
    assert reports.reason("AROA", "i-1") == ""
    assert reports.log("AROA", "i-1") == ""


def test_the_log_is_where_the_worker_has_left_it(bucket: dict[str, bytes]) -> None:
    assert reports.log("AROA", "i-1") == ""
    key = f"{KEY}/boot.log"
    bucket[key] = b""
    assert reports.log("AROA", "i-1") == key
