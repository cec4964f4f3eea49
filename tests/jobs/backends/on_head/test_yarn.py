"""Follower of a job on YARN, against a fake ResourceManager."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.backends.on_head import yarn as on_head
from jobs.backends.on_head.resource_manager import Down, ResourceManager
from jobs.backends.on_head.yarn import YarnRun, exit_status, summary
from jobs.trainer import contract
from jobs.trainer.contract import failures

ROOT = Path(__file__).resolve().parents[4]
APP = "application_1_0001"
DRIVER = """#!/bin/sh
feed=$(cat "$FAKE/feed")
echo "$@" >"$FAKE/submitted"
exec "{python}" - "$feed" <<'SEND'
import json, socket, sys
host, port, token = sys.argv[1].rsplit(":", 2)
link = socket.create_connection((host, int(port)))
link.sendall((token + "\\n").encode())
link.recv(1)
for event in {events}:
    link.sendall((json.dumps(event) + "\\n").encode())
link.close()
SEND
"""
DONE = [{"event": "phase", "time": 1.0, "phase": "train"}, {"event": "done", "time": 2.0, "seconds": 1.0}]


class Manager:
    """A ResourceManager with one application, whose states are walked through one answer at a time."""

    def __init__(self) -> None:
        self.states: list[dict[str, str]] = []
        self.known = True
        self.forgets = False
        self.earlier = ""
        """Application of a run before this one, which is listed until another one is."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if outer.forgets and f"/apps/{APP}" in self.path:
                    self.send_error(404)
                    return
                body = json.dumps(outer.answer(self.path)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str) -> dict[str, Any]:
        if path.endswith("/info"):
            return {"clusterInfo": {"state": "STARTED"}}
        if "applicationTags=" in path and self.earlier:
            # Once: a newer one is listed after the submission.
            app, self.earlier = {**self.app(), "id": self.earlier}, ""
            return {"apps": {"app": [app]}}
        if "applicationTags=" in path:
            return {"apps": {"app": [self.app()]} if self.known else {}}
        if len(self.states) > 1:
            self.states.pop(0)
        return {"app": self.app()}

    def app(self) -> dict[str, Any]:
        now = {"state": "ACCEPTED", "finalStatus": "UNDEFINED", **(self.states[0] if self.states else {})}
        return {
            "id": APP,
            "startedTime": 1,
            "amContainerLogs": "http://w1:8042/node/containerlogs/container_1_0001_01_000001/spark",
            "amHostHttpAddress": "w1:8042",
            "logAggregationStatus": "SUCCEEDED",
            **now,
        }


ENDED_WELL = [{"state": "RUNNING"}, {"state": "FINISHED", "finalStatus": "SUCCEEDED"}]
ENDED_BADLY = [
    {"state": "RUNNING"},
    {"state": "FAILED", "finalStatus": "FAILED", "diagnostics": "User application exited with status 2"},
]


class Head:
    """Runs the program as the job's unit does."""

    def __init__(self, folder: Path, manager: Manager) -> None:
        self.folder, self.manager = folder, manager
        self.events_file = folder / "events.jsonl"
        self.tool("yarn", '#!/bin/sh\necho "$@" >>"$FAKE/yarn-asked"\ncat "$FAKE/yarn-says" 2>/dev/null\n')
        self.driver(DONE)

    def tool(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def driver(self, events: list[dict[str, Any]]) -> None:
        text = DRIVER.replace("{python}", sys.executable).replace("{events}", repr(events))
        self.tool("spark-submit", text)

    def start(self, **variables: str) -> subprocess.Popen[str]:
        words = [self.manager.url, "mnist-1", str(self.events_file), str(self.folder / "yarn")]
        words += [
            str(self.folder / "spark-submit"),
            "--master",
            "yarn",
            "--files",
            "a.prototxt",
            "main.py",
            "-train",
        ]
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.backends.on_head.yarn", *words],
            cwd=self.folder,
            env={
                **os.environ,
                "NODE_ADDRESS": "127.0.0.1",
                "FAKE": str(self.folder),
                "PYTHONPATH": str(ROOT),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **variables: str) -> tuple[int, str]:
        process = self.start(**variables)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.events_file.read_text().splitlines()]


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    manager = Manager()
    yield Head(tmp_path, manager)
    manager.server.shutdown()


def test_events_of_a_driver_elsewhere_arrive_as_if_it_were_here(head: Head) -> None:
    head.manager.states = list(ENDED_WELL)
    code, _ = head.run()
    assert code == 0
    assert [event for event in head.events if event["event"] != "application"] == DONE
    states = [event["state"] for event in head.events if event["event"] == "application"]
    assert states[-1] == "FINISHED"
    assert "--files a.prototxt,feed main.py -train" in (head.folder / "submitted").read_text()


def test_the_feeds_token_is_in_a_file_that_only_the_job_reads(head: Head) -> None:
    head.manager.states = list(ENDED_WELL)
    head.run()
    token = (head.folder / "feed").read_text().rpartition(":")[2]
    assert len(token) > 20
    assert token not in (head.folder / "submitted").read_text()
    assert (head.folder / "feed").stat().st_mode & 0o077 == 0


def test_a_restarted_resource_manager_that_forgot_the_application_is_told_as_such(head: Head) -> None:
    head.manager.states = [{"state": "RUNNING"}]
    head.driver(DONE[:1])
    head.manager.forgets = True
    code, _ = head.run()
    assert code == 1
    told = failures.words(head.events[-1]["code"], head.events[-1]["fields"])
    assert told.why.endswith(f"was restarted, and no longer knows {APP}")
    assert told.fix == "Submit the job again."


def test_a_submission_that_does_not_end_is_given_up_and_its_application_killed(
    tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_head, "SUBMIT_S", 0.3)
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    head.tool("spark-submit", "#!/bin/sh\nexec sleep 20\n")
    manager = ResourceManager(head.manager.url, str(tmp_path / "yarn"))
    job = YarnRun(manager, "mnist-1", tmp_path / "events.jsonl")
    assert job.run([str(tmp_path / "spark-submit"), "--files", "a.prototxt", "main.py"], "127.0.0.1") == 1
    assert "spark-submit did not end within 0 s" in capsys.readouterr().out
    assert (tmp_path / "yarn-asked").read_text() == f"application -kill {APP}\n"


class Answers:
    """A ResourceManager that gives one answer after the other about the application."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)

    def application(self, _id: str, _patience: float = 0) -> dict[str, Any]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def following(folder: Path, *answers: dict[str, Any] | Exception) -> YarnRun:
    return YarnRun(Answers(*answers), "mnist-1", folder / "events.jsonl")  # type: ignore[arg-type]


def app(state: str, said: str = "") -> dict[str, Any]:
    return {"id": APP, "state": state, "finalStatus": "UNDEFINED", "diagnostics": said}


def test_what_an_accepted_application_waits_for_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_head, "WAITING_AFTER_S", 0.0)
    monkeypatch.setattr(on_head, "POLL_S", 0.01)
    waits = app("ACCEPTED", "Queue's AM resource limit exceeded.")
    following(tmp_path, waits, waits, app("FINISHED"))._follow(waits)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    (waiting,) = [event for event in events if event["event"] == "waiting"]
    assert waiting["why"] == "Queue's AM resource limit exceeded."


@pytest.mark.parametrize(
    ("told", "status"), [(contract.Done(), "SUCCEEDED"), (contract.Failed(code="nothing-to-do"), "FAILED")]
)
def test_a_driver_that_has_told_its_end_needs_no_resource_manager(
    told: contract.Event, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_head, "POLL_S", 0.01)
    job = following(tmp_path, Down("http://head:8088"))
    job._take(told)
    assert job._follow(app("RUNNING"))["finalStatus"] == status


def test_without_a_resource_manager_a_driver_that_says_nothing_is_not_followed_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_head, "POLL_S", 0.01)
    with pytest.raises(Down):
        following(tmp_path, Down("http://head:8088"))._follow(app("RUNNING"))


def test_where_the_driver_is_is_kept_for_who_looks_for_its_log(head: Head) -> None:
    head.manager.states = list(ENDED_WELL)
    head.run()
    last = [event for event in head.events if event["event"] == "application"][-1]
    assert (last["id"], last["host"]) == (APP, "w1")
    assert last["container"] == "container_1_0001_01_000001"


def test_the_drivers_own_exit_status_is_handed_on_and_its_log_shown(head: Head) -> None:
    head.manager.states = list(ENDED_BADLY)
    (head.folder / "yarn-says").write_text(
        "Container: c\nLogType:stderr\nLogContents:\nthe reason\nEnd of LogType:stderr\n"
    )
    code, out = head.run()
    assert code == 2
    assert "the reason" in out
    assert f"YARN: {APP} is FAILED: User application exited with status 2" in out


LOST_DRIVER = [
    {"state": "RUNNING"},
    {"state": "FAILED", "finalStatus": "FAILED", "diagnostics": "Application application_1 failed 1 times"},
]
AGAIN = {contract.RESTARTS_ENV: "0"}


def test_a_driver_that_was_lost_ends_the_program_as_a_signal_does_where_it_is_to_begin_again(
    head: Head,
) -> None:
    head.driver(DONE[:1])
    head.manager.states = list(LOST_DRIVER)
    assert head.run(**AGAIN)[0] == 137
    head.manager.states = list(LOST_DRIVER)
    assert head.run()[0] == 1


@pytest.mark.parametrize(("restarts", "status"), [("0", 1), ("1", 137)])
def test_a_driver_that_never_spoke_is_not_begun_again(head: Head, restarts: str, status: int) -> None:
    head.driver([])
    head.manager.states = list(LOST_DRIVER)
    assert head.run(**{contract.RESTARTS_ENV: restarts})[0] == status


def test_a_driver_that_has_told_its_failure_is_not_begun_again(head: Head) -> None:
    head.driver([DONE[0], {"event": "failed", "time": 2.0, "code": "nothing-to-do"}])
    head.manager.states = list(ENDED_BADLY)
    assert head.run(**AGAIN)[0] == 2


def test_one_that_was_killed_is_not_begun_again(head: Head) -> None:
    head.driver(DONE[:1])
    head.manager.states = [{"state": "RUNNING"}, {"state": "KILLED", "finalStatus": "KILLED"}]
    assert head.run(**AGAIN)[0] == 143


def test_a_resource_manager_that_was_restarted_has_lost_the_driver(head: Head) -> None:
    head.driver(DONE[:1])
    head.manager.states, head.manager.forgets = [{"state": "RUNNING"}], True
    assert head.run(**AGAIN)[0] == 137
    assert not [event for event in head.events if event["event"] == "failed"]


def test_what_begins_again_ends_the_application_that_may_live_on_and_tells_the_driver(head: Head) -> None:
    head.manager.states, head.manager.earlier = [{"state": "RUNNING"}, *ENDED_WELL], "application_1_0000"
    assert head.run(**{contract.RESTARTS_ENV: "2"})[0] == 0
    assert (head.folder / "yarn-asked").read_text().startswith("application -kill application_1_0000\n")
    assert "spark.yarn.appMasterEnv.CAFFE_SPARK_RESTARTS=2" in (head.folder / "submitted").read_text()


@pytest.mark.parametrize(("restarts", "status"), [("0", 3), ("1", 137)])
def test_a_submission_that_fails_while_storage_comes_up_is_tried_again(
    head: Head, restarts: str, status: int
) -> None:
    head.manager.known = False
    head.tool("spark-submit", "#!/bin/sh\nexit 3\n")
    assert head.run(**{contract.RESTARTS_ENV: restarts})[0] == status


def test_an_application_of_the_run_before_is_not_taken_for_the_new_one(head: Head) -> None:
    head.manager.states = [{"state": "KILLED", "finalStatus": "KILLED"}]
    head.tool("spark-submit", "#!/bin/sh\nexit 3\n")
    code, out = head.run(**{contract.RESTARTS_ENV: "1"})
    assert code == 137
    assert "YARN has no application of it" in out


def test_events_that_were_lost_on_the_way_come_from_the_drivers_own_copy(head: Head) -> None:
    head.manager.states = list(ENDED_WELL)
    head.driver(DONE[:1])
    copy = "\n".join(map(json.dumps, DONE))
    (head.folder / "yarn-says").write_text(f"LogContents:\n{copy}\nEnd of LogType:events.jsonl\n")
    code, _ = head.run()
    assert code == 0
    assert [event for event in head.events if event["event"] != "application"] == DONE


def test_a_submission_that_yarn_refused_ends_with_spark_submits_status(head: Head) -> None:
    head.manager.known = False
    head.tool("spark-submit", "#!/bin/sh\necho 'Required executor memory is above' >&2; exit 3\n")
    code, out = head.run()
    assert code == 3
    assert "Required executor memory is above" in out
    assert "YARN has no application of it" in out


def test_a_resource_manager_that_is_down_is_an_error_in_three_parts(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    head.manager.server.shutdown()
    head.manager.server.server_close()
    monkeypatch.setattr(on_head, "ResourceManager", functools.partial(ResourceManager, patience=0.1))
    monkeypatch.setenv("NODE_ADDRESS", "127.0.0.1")
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # not this process's own handler

    assert on_head.main([head.manager.url, "mnist-1", str(head.events_file), "yarn", "spark-submit"]) == 1

    (event,) = head.events
    told = failures.words(event["code"], event["fields"])
    assert told.given == "YARN's ResourceManager"
    assert "fab bootstrap" in told.fix


def test_a_signal_kills_the_application(head: Head) -> None:
    head.manager.states = [{"state": "RUNNING"}]
    process = head.start()
    deadline = time.monotonic() + 30
    while not (head.events_file.exists() and '"RUNNING"' in head.events_file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert f"application -kill {APP}" in (head.folder / "yarn-asked").read_text()


@pytest.mark.parametrize(
    ("final", "diagnostics", "status"),
    [
        ("FAILED", "User application exited with status 2", 2),
        ("FAILED", "AM Container for appattempt_1 exited with  exitCode: 13\nFailing", 13),
        ("FAILED", "", 1),
        ("FAILED", "exited with status 0", 1),
        # The kernel's and the NodeManager's doing: neither the head nor anybody at a keyboard ended it.
        ("FAILED", "AM Container for appattempt_1 exited with  exitCode: 137", 1),
        ("FAILED", "AM Container for appattempt_1 exited with  exitCode: 143", 1),
        ("KILLED", "Application killed by user.", 143),
    ],
)
def test_the_status_is_read_from_yarns_words(final: str, diagnostics: str, status: int) -> None:
    assert exit_status({"finalStatus": final, "diagnostics": diagnostics}) == status


def test_an_application_that_is_nowhere_yet_has_no_container() -> None:
    assert summary({"id": APP, "state": "ACCEPTED"}).container == ""


def test_of_yarns_words_the_reason_is_kept() -> None:
    said = "[Sat Nov 28 19:37:37 2026] Application is Activated, waiting for resources.  "
    figures = "Details : AM Partition = <DEFAULT_PARTITION> ; Partition Resource = <memory:4224, vCores:4> ;"
    kept = summary({"id": APP, "state": "ACCEPTED", "diagnostics": said + figures}).said
    assert kept == "Application is Activated, waiting for resources."
