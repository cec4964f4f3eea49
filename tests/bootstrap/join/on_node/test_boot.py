"""Functions of boot.py in isolation; the end-to-end tests run the whole program on a node."""

from __future__ import annotations

import calendar
import hashlib
import io
import json
import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from bootstrap.engine.render import NEEDS_TIMEOUT
from bootstrap.join.on_node import aws, boot, notice
from bootstrap.join.user_data import Boot
from bootstrap.signing import SigningKey
from infra.aws.workers import LEAVING_S
from tests.signing import SIGNING_KEY

KEYS = {"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "session/token"}


class Cloud:
    """Objects by key, requests as they came, and instance metadata; reports of some states are refused."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.metadata = {"instance-id": "i-1", "local-ipv4": "10.0.0.7"}
        self.refused: set[str] = set()
        self.settles_after = 0
        self.on_report: Callable[[str], object] = lambda _: None

    def call(self, service: str, url: str, method: str = "GET", body: bytes = b"") -> bytes | None:
        self.calls.append((service, method, url))
        key = url.rpartition("/bucket/")[2]
        if len(self.calls) <= self.settles_after:
            raise RuntimeError(f"{method} {url}: 403 AccessDenied")
        if method == "PUT":
            if key.endswith("/node.json"):
                state = json.loads(body)["state"]
                if state in self.refused:
                    raise RuntimeError("PUT node.json: 403 AccessDenied")
                self.on_report(state)
            self.objects[key] = body
            return b""
        return b"" if service == "autoscaling" else self.objects.get(key)

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.objects["cluster/nodes/AROA:i-1/node.json"])
        return found

    def hooks(self) -> list[str]:
        return [url for service, _, url in self.calls if service == "autoscaling"]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
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
    (tmp_path / "host_key.pub").write_text("ssh-ed25519 AAAA root@somewhere\n")
    monkeypatch.setattr(boot, "IDENTITY", str(tmp_path / "node"))
    monkeypatch.setattr(boot, "HOST_KEY", str(tmp_path / "host_key.pub"))
    monkeypatch.setattr(boot, "LOG", str(tmp_path / "log"))
    monkeypatch.setattr(boot, "LOCK", str(tmp_path / "run" / "lock"))
    monkeypatch.setattr(boot, "PAUSE", 0)
    for seconds in ("TELLING", "SETTLING"):
        monkeypatch.setattr(boot, seconds, 0.05)
    monkeypatch.setattr(aws, "FIRST", 0.001)
    (tmp_path / "bin").mkdir()
    fake(tmp_path, "systemctl", f'echo "$*" >>{tmp_path}/calls')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(aws, "setting", lambda name: given.settings()[name])
    cloud = Cloud()
    cloud.objects["script.sh"] = script
    monkeypatch.setattr(aws, "call", cloud.call)
    monkeypatch.setattr(aws, "instance", lambda path: cloud.metadata.get(path, ""))
    monkeypatch.setattr(notice.Metadata, "get", lambda _, path: cloud.metadata.get(path, ""))
    monkeypatch.setattr(notice, "FILE", str(tmp_path / "notice.json"))
    monkeypatch.setattr(notice, "POLL", 0)
    running = set(threading.enumerate())
    yield cloud
    # Reports that nothing waits for end with the program; here they would reach the next test's cloud.
    for thread in set(threading.enumerate()) - running:
        thread.join(30)
        assert not thread.is_alive()


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


def test_a_script_that_hangs_is_killed_at_the_limit_with_all_that_it_started(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "SCRIPT_LIMIT", 1)
    monkeypatch.setattr(boot, "KILL_GRACE", 0.2)
    script = f"""echo x >>{tmp_path}/tries; echo waiting for a mirror
trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & echo $! >{tmp_path}/child; wait
"""
    has_framework(cloud, script.encode())
    assert boot.join() == 1
    said = cloud.report()["said"]
    assert "waiting for a mirror | it ran past its limit of 1 s and was killed" in said
    assert (tmp_path / "tries").read_text() == "x\n", "it would hang again"
    child, deadline = int((tmp_path / "child").read_text()), time.monotonic() + 10
    while runs(child):  # SIGKILL was sent; the kernel may be busy
        assert time.monotonic() < deadline, "what the script started runs on"
        time.sleep(0.01)
    assert boot.locked("/dev/null") == 0, "the operator's commands get the lock"


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_the_limit_of_a_script_is_longer_than_its_steps_wait_for_other_nodes() -> None:
    assert boot.SCRIPT_LIMIT > NEEDS_TIMEOUT + 600


def test_a_machine_whose_first_report_is_refused_goes_into_service(cloud: Cloud) -> None:
    cloud.refused = {"booting"}
    assert boot.join() == 0
    assert cloud.report()["state"] == "ready"
    assert len(cloud.hooks()) == 1


def test_a_machine_that_cannot_report_that_it_is_ready_does_not_go_into_service(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.refused = {"ready", "failed"}
    assert boot.join() == 1
    assert cloud.hooks() == []
    assert "failed: PUT node.json: 403" in (tmp_path / "log").read_text()


def test_a_machine_joins_though_iam_has_not_spread_its_role_yet(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "TELLING", 10)
    cloud.settles_after = 4
    assert boot.join() == 0
    assert cloud.report()["state"] == "ready"
    states = [url for _, method, url in cloud.calls if method == "PUT"]
    assert len(states) == 6, "four refused reports, then booting and ready"


def test_a_report_that_is_essential_and_the_hook_are_attempted_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "SETTLING", 10)
    refusals = {"ready": 2, "hook": 2}

    def refused(what: str) -> None:
        if refusals.get(what, 0):
            refusals[what] -= 1
            raise RuntimeError("503 SlowDown")

    cloud.on_report = refused
    complete = boot.complete

    def refused_twice(*given: Any) -> None:
        refused("hook")
        complete(*given)

    monkeypatch.setattr(boot, "complete", refused_twice)
    assert boot.join() == 0
    assert cloud.report()["state"] == "ready"
    assert len(cloud.hooks()) == 1
    assert refusals == {"ready": 0, "hook": 0}


def test_a_machine_that_fails_leaves_its_log_and_offers_nothing_to_spark(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "KEPT", 400)
    has_framework(cloud, b"seq 1000; echo ImportError: numpy of another version >&2; exit 1\n")
    assert boot.join() == 1
    report = cloud.report()
    assert report["state"] == "failed"
    assert report["said"].endswith("ImportError: numpy of another version")
    log = cloud.objects["cluster/nodes/AROA:i-1/boot.log"]
    assert len(log) == 400
    assert b"failed: framework abc: " in log
    assert calls(tmp_path) == [STOP]


def test_a_machine_with_a_full_disk_has_no_traceback(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boot, "LOG", "/dev/full")
    cloud.refused = {"booting", "failed"}
    cloud.objects.clear()
    monkeypatch.setattr(aws, "PATIENCE", 0)
    assert boot.join() == 1
    assert "Traceback" not in capfd.readouterr().err


SPOT = '{"action":"terminate","time":"2026-11-24T12:00:00Z"}'


@pytest.fixture
def node(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of the machine, which write to `calls` of this folder, and a notice that it is reclaimed."""
    calls = tmp_path / "calls"
    fake(tmp_path, "pgrep", "exit 1")
    monkeypatch.setattr(boot, "REPORTING", 2)
    cloud.on_report = lambda state: calls.open("a").write(f"report {state}\n")
    cloud.metadata["spot/instance-action"] = SPOT
    return tmp_path


def fake(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def calls(node: Path) -> list[str]:
    return (node / "calls").read_text().splitlines()


def ordered(node: Path) -> list[str]:
    """Calls without the report that nothing waits for."""
    found = calls(node)
    assert found.count("report leaving") == 1
    return [call for call in found if call != "report leaving"]


DECOMMISSION, STOP = "kill --kill-who=main -s PWR spark-worker", "stop spark-worker"


def test_a_machine_leaves_when_the_cloud_says_so_and_decommissions_before_it_reports(
    node: Path, cloud: Cloud
) -> None:
    assert boot.watch() == 0
    assert ordered(node) == [DECOMMISSION, STOP, "report left"]
    assert "2026-11-24T12:00:00Z" in cloud.report()["said"]
    assert "LifecycleHookName=leaving" in cloud.hooks()[0]


def test_executors_are_told_before_anything_else(node: Path, cloud: Cloud) -> None:
    fake(node, "systemctl", f'cat {node}/notice.json >>{node}/calls; echo " $*" >>{node}/calls')
    assert boot.watch() == 0
    told, _, command = calls(node)[0].partition("} ")
    found = json.loads(told + "}")
    assert command == DECOMMISSION
    assert "reclaims this spot instance" in found["why"]
    assert found["at"] == calendar.timegm((2026, 11, 24, 12, 0, 0))


def test_executors_that_cannot_be_told_do_not_keep_a_machine_from_leaving(
    node: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice, "FILE", str(node / "no-such-folder" / "notice.json"))
    assert boot.watch() == 0
    assert ordered(node) == [DECOMMISSION, STOP, "report left"]
    assert "telling executors: " in (node / "log").read_text()


def test_executors_get_no_more_time_than_the_notice_has(node: Path, cloud: Cloud) -> None:
    fake(node, "pgrep", f"echo executor runs >>{node}/calls")
    at = time.gmtime(time.time() + boot.RESERVE + 2)
    cloud.metadata["spot/instance-action"] = json.dumps(
        {"action": "terminate", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", at)}
    )
    began = time.monotonic()
    assert boot.watch() == 0
    assert "executor runs" in calls(node)
    assert calls(node)[-2:] == [STOP, "report left"]
    assert time.monotonic() - began < boot.LEAVING / 2


def test_a_machine_waits_for_its_executors_before_it_stops(node: Path, cloud: Cloud) -> None:
    fake(node, "pgrep", f"echo executor runs >>{node}/calls; [ $(grep -c executor {node}/calls) -lt 2 ]")
    assert boot.watch() == 0
    assert ordered(node) == [DECOMMISSION, *["executor runs"] * 2, STOP, "report left"]


def test_a_refused_report_does_not_keep_a_machine_from_leaving(node: Path, cloud: Cloud) -> None:
    cloud.refused = {"leaving", "left"}
    assert boot.watch() == 0
    assert calls(node) == [DECOMMISSION, STOP]
    assert "LifecycleHookName=leaving" in cloud.hooks()[0]
    assert re.search(r"reporting: (PUT node.json: 403|no answer for 2 s)", (node / "log").read_text())


def test_a_report_that_hangs_is_not_waited_for(
    node: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "REPORTING", 30)
    asked = threading.Event()

    def hangs(state: str) -> None:
        if state == "leaving":
            asked.wait(60)

    fake(node, "systemctl", f'echo "$*" >>{node}/calls')
    cloud.on_report = hangs
    began = time.monotonic()
    assert boot.watch() == 0
    assert time.monotonic() - began < 20
    assert calls(node) == [DECOMMISSION, STOP]
    assert cloud.report()["state"] == "left"
    asked.set()


def test_an_earlier_report_does_not_replace_a_later_one(cloud: Cloud) -> None:
    begun, over = threading.Event(), threading.Event()

    def refuse_until_the_other_is_written(state: str) -> None:
        if state == "booting":
            begun.set()
            over.wait(10)
            raise RuntimeError("PUT node.json: 503 SlowDown")

    cloud.on_report = refuse_until_the_other_is_written
    earlier = boot.begin("reporting", lambda: boot.report("booting", seconds=10))
    begun.wait(10)
    boot.report("ready", seconds=10)
    over.set()
    earlier.join(10)
    assert not earlier.is_alive()
    assert cloud.report()["state"] == "ready"


def test_requests_that_nobody_answers_do_not_keep_a_machine_from_leaving(
    node: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "REPORTING", 0.2)
    answered = threading.Event()
    monkeypatch.setattr(aws, "call", lambda *_: answered.wait(60))
    leaving = threading.Thread(target=boot.watch, daemon=True)
    leaving.start()
    leaving.join(10)
    assert not leaving.is_alive()
    answered.set()
    assert calls(node) == [DECOMMISSION, STOP]
    assert "completing: no answer for 0.2 s" in (node / "log").read_text()


def test_commands_that_hang_or_are_missing_do_not_keep_a_machine_from_leaving(
    node: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "STOPPING", 0.2)
    monkeypatch.setattr(boot, "LEAVING", 1)
    fake(node, "systemctl", f'echo "$*" >>{node}/calls; [ "$1" != stop ] || exec sleep 60')
    (node / "bin" / "pgrep").write_text("#!/no/such/interpreter\n")
    assert boot.watch() == 0
    assert ordered(node) == [DECOMMISSION, STOP, "report left"]
    assert len(cloud.hooks()) == 1


def test_executors_that_do_not_end_are_stopped_in_time(
    node: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "LEAVING", 0.5)
    fake(node, "pgrep", "exit 0")
    assert boot.watch() == 0
    assert calls(node)[-2:] == [STOP, "report left"]


def test_leaving_ends_within_the_hooks_time() -> None:
    assert boot.LEAVING + boot.STOPPING + 2 * boot.REPORTING < LEAVING_S


def test_a_metadata_service_that_fails_is_asked_again(
    node: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [HTTPException("half an answer"), ValueError("no JSON"), OSError("no route")]

    def get(_: notice.Metadata, path: str) -> str:
        if failures:
            raise failures.pop()
        return cloud.metadata.get(path, "")

    monkeypatch.setattr(notice.Metadata, "get", get)
    assert boot.watch() == 0
    assert cloud.report()["state"] == "left"


def test_requests_are_signed_as_botocore_signs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same request, signed by AWS's own library at the same moment, carries the same signature."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    sent: list[Any] = []

    class Answer(io.BytesIO):
        length = None

    def urlopen(request: Any, **_: object) -> Answer:
        sent.append(request)
        return Answer(b"hello")

    monkeypatch.setattr(aws, "credentials", lambda: KEYS)
    monkeypatch.setattr(aws, "setting", lambda _: "eu-west-1")
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    url = "https://bucket.s3.eu-west-1.amazonaws.com/cluster/nodes/AROA:i-1/node.json"
    assert aws.call("s3", url, "PUT", b"{}") == b"hello"
    (request,) = sent

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
    theirs.context["timestamp"] = request.get_header("X-amz-date")
    # The steps of its `add_auth`, which begins with the time of day.
    auth: Any = S3SigV4Auth(Credentials("AK", "SK", "session/token"), "s3", "eu-west-1")
    auth._modify_request_before_signing(theirs)
    text = auth.string_to_sign(theirs, auth.canonical_request(theirs))
    auth._inject_signature_to_request(theirs, auth.signature(text, theirs))
    assert request.get_header("Authorization") == theirs.headers["Authorization"]
