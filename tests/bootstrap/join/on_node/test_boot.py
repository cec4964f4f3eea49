"""Functions of boot.py in isolation; the end-to-end tests run the whole program on a node."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bootstrap.join.on_node import boot
from bootstrap.join.user_data import Boot
from bootstrap.signing import SigningKey
from tests.signing import SIGNING_KEY

KEYS = {"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "session/token"}


class Cloud:
    """Objects by key, requests as they came, and instance metadata."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.metadata = {"instance-id": "i-1", "local-ipv4": "10.0.0.7"}

    def call(self, service: str, url: str, method: str = "GET", body: bytes = b"") -> bytes | None:
        self.calls.append((service, method, url))
        key = url.rpartition("/bucket/")[2]
        if method == "PUT":
            self.objects[key] = body
            return b""
        return b"" if service == "autoscaling" else self.objects.get(key)

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.objects["cluster/nodes/AROA:i-1/node.json"])
        return found

    def hooks(self) -> list[str]:
        return [url for service, _, url in self.calls if service == "autoscaling"]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A machine's own files in a scratch folder, and a cloud that answers from memory."""
    script = b"true\n"
    given = Boot(
        role="worker",
        region="eu-west-1",
        bucket="bucket",
        script_key="script.sh",
        sha256=hashlib.sha256(script).hexdigest(),
        ssh_user="ubuntu",
        authorized_key="",
        signing_key=SIGNING_KEY.public_key,
        role_id="AROA",
        autoscaling_group="workers",
        endpoint="http://s3",
    )
    (tmp_path / "boot.json").write_text(json.dumps(given.settings()))
    (tmp_path / "host_key.pub").write_text("ssh-ed25519 AAAA root@somewhere\n")
    monkeypatch.setattr(boot, "SETTINGS", str(tmp_path / "boot.json"))
    monkeypatch.setattr(boot, "IDENTITY", str(tmp_path / "node"))
    monkeypatch.setattr(boot, "HOST_KEY", str(tmp_path / "host_key.pub"))
    monkeypatch.setattr(boot, "LOG", str(tmp_path / "log"))
    monkeypatch.setattr(boot, "LOCK", str(tmp_path / "run" / "lock"))
    monkeypatch.setattr(boot, "PAUSE", 0)
    monkeypatch.setattr(boot, "setting", lambda name: given.settings()[name])
    cloud = Cloud()
    cloud.objects["script.sh"] = script
    monkeypatch.setattr(boot, "call", cloud.call)
    monkeypatch.setattr(boot, "instance", lambda path: cloud.metadata.get(path, ""))
    return cloud


def has_framework(cloud: Cloud, script: bytes = b"true\n", signed_by: SigningKey = SIGNING_KEY) -> None:
    cloud.objects["framework.sh"] = script
    current = {
        "key": "abc",
        "script_key": "framework.sh",
        "sha256": hashlib.sha256(script).hexdigest(),
    }
    cloud.objects[boot.CURRENT] = signed_by.seal("joining", json.dumps(current).encode())


def test_a_machine_that_comes_up_says_who_it_is_and_goes_into_service(cloud: Cloud) -> None:
    assert boot.join() == 0
    report = cloud.report()
    assert (report["state"], report["framework"], report["instance"]) == ("ready", "", "i-1")
    assert (report["address"], report["host_key"]) == ("10.0.0.7", "ssh-ed25519 AAAA")
    (hook,) = cloud.hooks()
    assert "LifecycleActionResult=CONTINUE" in hook
    assert "LifecycleHookName=joining" in hook


def test_a_framework_that_was_compiled_before_is_taken_too(cloud: Cloud) -> None:
    has_framework(cloud)
    assert boot.join() == 0
    assert cloud.report()["framework"] == "abc"


@pytest.mark.parametrize("forged", ["another key", "another purpose", "changed", "unsigned"])
def test_a_framework_that_the_stacks_key_has_not_signed_is_not_run(
    forged: str, cloud: Cloud, tmp_path: Path
) -> None:
    evil = f"touch {tmp_path}/owned\n".encode()
    has_framework(cloud, evil, SigningKey.generate() if forged == "another key" else SIGNING_KEY)
    document = json.loads(cloud.objects[boot.CURRENT])
    if forged == "another purpose":
        cloud.objects[boot.CURRENT] = SIGNING_KEY.seal("framework", document["payload"].encode())
    elif forged == "changed":
        document["payload"] = document["payload"].replace("abc", "abd")
        cloud.objects[boot.CURRENT] = json.dumps(document).encode()
    elif forged == "unsigned":
        cloud.objects[boot.CURRENT] = document["payload"].encode()

    assert boot.join() == 1

    assert not (tmp_path / "owned").exists()
    assert cloud.report()["state"] == "failed"
    if forged != "unsigned":
        assert "the stack's key has not signed it" in cloud.report()["said"]


def test_a_script_with_another_sum_is_not_run_and_the_machine_does_not_go_into_service(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.objects["script.sh"] = f"touch {tmp_path}/was-run\n".encode()
    assert boot.join() == 1
    assert not (tmp_path / "was-run").exists()
    assert cloud.report()["state"] == "failed"
    assert "it is not run" in cloud.report()["said"]
    assert cloud.hooks() == []


def test_a_script_that_fails_is_tried_again_and_its_last_words_are_reported(
    cloud: Cloud, tmp_path: Path
) -> None:
    script = f"echo x >>{tmp_path}/tries; echo 'no mirror answers' >&2; exit 3\n".encode()
    has_framework(cloud, script)
    assert boot.join() == 1
    assert (tmp_path / "tries").read_text() == "x\n" * boot.TRIES
    assert cloud.report()["said"].endswith("no mirror answers")


def test_a_machine_leaves_when_the_cloud_says_so(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(boot.subprocess, "call", lambda argv, **_: called.append(argv) or 1)
    cloud.metadata["spot/instance-action"] = '{"action":"terminate","time":"2026-11-24T12:00:00Z"}'
    assert boot.watch() == 0
    assert cloud.report()["state"] == "left"
    assert "2026-11-24T12:00:00Z" in cloud.report()["said"]
    assert "LifecycleHookName=leaving" in cloud.hooks()[0]
    assert called[0][-1] == called[-1][-1] == "spark-worker"


def test_a_group_that_shrinks_is_a_notice_too(cloud: Cloud) -> None:
    assert boot.notice() == ""
    cloud.metadata["autoscaling/target-lifecycle-state"] = "InService"
    assert boot.notice() == ""
    cloud.metadata["autoscaling/target-lifecycle-state"] = "Terminated"
    assert "Auto Scaling group" in boot.notice()


def test_requests_are_signed_as_botocore_signs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same request, signed by AWS's own library at the same moment, carries the same signature."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    sent: list[Any] = []

    class Answer:
        def read(self) -> bytes:
            return b"hello"

    monkeypatch.setattr(boot, "credentials", lambda: KEYS)
    monkeypatch.setattr(boot, "setting", lambda _: "eu-west-1")
    monkeypatch.setattr(boot.urllib.request, "urlopen", lambda request, **_: sent.append(request) or Answer())
    url = "https://bucket.s3.eu-west-1.amazonaws.com/cluster/nodes/AROA:i-1/node.json"
    assert boot.call("s3", url, "PUT", b"{}") == b"hello"
    (request,) = sent

    class SameMoment(S3SigV4Auth):
        def add_auth(self, request: Any) -> None:
            request.context["timestamp"] = self.moment
            self._modify_request_before_signing(request)
            text = self.string_to_sign(request, self.canonical_request(request))
            self._inject_signature_to_request(request, self.signature(text, request))

    theirs = AWSRequest(
        method="PUT",
        url=request.full_url,
        data=b"{}",
        headers={
            "x-amz-content-sha256": hashlib.sha256(b"{}").hexdigest(),
            "X-Amz-Date": request.get_header("X-amz-date"),
        },
    )
    theirs.context["payload_signing_enabled"] = True
    auth = SameMoment(Credentials("AK", "SK", "session/token"), "s3", "eu-west-1")
    auth.moment = request.get_header("X-amz-date")
    auth.add_auth(theirs)
    assert request.get_header("Authorization") == theirs.headers["Authorization"]
