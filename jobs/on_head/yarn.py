"""Runs a job on YARN in cluster mode and keeps its story on the head, where one in client mode has it.

    python -m jobs.on_head.yarn RESOURCE_MANAGER TAG EVENTS YARN spark-submit …

The driver runs in a container on some worker. It sends its events to this program, which appends them to
EVENTS; what the driver said goes to stdout when it failed. spark-submit ends once the application is
accepted, so no JVM waits here while the job runs. SIGTERM kills the application.

Exit status: 0, the driver's own, 1 when YARN refused or ended it, 143 when it was killed from here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.trainer.channel import Channel, Event

FEED = "CAFFE_SPARK_FEED"
"""The driver's environment: where events go, as host:port:token."""
EVENTS = "events.jsonl"
"""The driver's own copy, beside its container's stderr."""
ANSWER_S = 5
DOWN_AFTER_S = 15.0
"""A ResourceManager that does not answer for so long is down."""
POLL_S = 0.5
LATE_EVENTS_S = 3.0
AGGREGATED_S = 20.0
"""Logs lie in shared storage about two seconds after the application's end."""
SOON_S = 5.0
SHOWN_LINES = 400
KILLED = 143
_STATUS = re.compile(r"(?:exited with status|exitCode:) (\d+)")
_OVER = ("FINISHED", "FAILED", "KILLED")
_AGGREGATED = ("SUCCEEDED", "FAILED", "DISABLED", "TIME_OUT")


class Down(Exception):
    """The ResourceManager does not answer."""


class ResourceManager:
    """What is asked of YARN's ResourceManager, over its web service."""

    def __init__(self, url: str, yarn: str) -> None:
        self._url, self._yarn = url.rstrip("/"), yarn
        # A proxy of the operator's environment has no business between nodes.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> dict[str, Any]:
        """An answer of the web service.

        Raises:
            Down: there was none for DOWN_AFTER_S seconds.
        """
        deadline = time.monotonic() + DOWN_AFTER_S
        request = urllib.request.Request(  # noqa: S310 - the stack's own URL
            self._url + "/ws/v1/cluster/" + path, headers={"Accept": "application/json"}
        )
        while True:
            try:
                with self._opener.open(request, timeout=ANSWER_S) as answer:
                    found: dict[str, Any] = json.loads(answer.read().decode())
                    return found
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise Down(f"{self._url} ({error})") from error
                time.sleep(1)

    def tagged(self, tag: str) -> dict[str, Any] | None:
        """The newest application with that tag."""
        apps = (self.get("apps?applicationTags=" + tag.lower())["apps"] or {}).get("app") or []
        return max(apps, key=lambda app: app["startedTime"]) if apps else None

    def application(self, id_: str) -> dict[str, Any]:
        """One application, as it is now."""
        found: dict[str, Any] = self.get("apps/" + id_)["app"]
        return found

    def kill(self, id_: str) -> None:
        """End it; nothing happens when it has ended."""
        subprocess.run([self._yarn, "application", "-kill", id_], stdin=subprocess.DEVNULL, check=False)

    def log(self, id_: str, files: str) -> list[str]:
        """Lines of these log files (`a,b`) of the driver's container; empty where there are none."""
        command = [self._yarn, "logs", "-applicationId", id_, "-am", "1", "-log_files", files]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        return log_lines(done.stdout.decode(errors="replace").splitlines())


def log_lines(printed: Sequence[str]) -> list[str]:
    """The contents in what `yarn logs` printed, without its frames."""
    kept: list[str] = []
    inside = False
    for line in printed:
        if line.startswith("LogContents:"):
            inside = True
        elif line.startswith("End of LogType:"):
            inside = False
        elif inside:
            kept.append(line)
    return kept


class Job:
    """One job from its submission to its end."""

    def __init__(self, manager: ResourceManager, tag: str, events: Path) -> None:
        self._manager, self._tag = manager, tag
        self._events = events.open("a")
        self._count = 0
        self._over = threading.Event()
        self.id = ""

    def run(self, submit: Sequence[str], address: str) -> int:
        """Submit, follow, and tell how it ended; returns the exit status.

        Raises:
            Down: the ResourceManager does not answer.
        """
        self._manager.get("info")
        channel = Channel(address, self._take)
        feed = ":".join(map(str, channel.address))
        conf = ["--conf", f"spark.yarn.appMasterEnv.{FEED}={feed}"]
        code = subprocess.call([submit[0], *conf, *submit[1:]], stdin=subprocess.DEVNULL)
        found = self._manager.tagged(self._tag)
        if found is None:
            print(f"spark-submit ended with status {code}, and YARN has no application of it")
            return code or 1
        self.id = found["id"]
        app = self._follow(found)
        self._over.wait(LATE_EVENTS_S)
        channel.close()
        return self._end(app)

    def _follow(self, app: dict[str, Any]) -> dict[str, Any]:
        state = ""
        while True:
            if app["state"] != state:
                state = app["state"]
                self.note({"event": "application", **summary(app)})
            if state in _OVER:
                return app
            time.sleep(POLL_S)
            app = self._manager.application(self.id)

    def _end(self, app: dict[str, Any]) -> int:
        if app["finalStatus"] == "SUCCEEDED" and self._over.is_set():
            return 0
        deadline = time.monotonic() + (SOON_S if self._over.is_set() else AGGREGATED_S)
        while app.get("logAggregationStatus") not in _AGGREGATED and time.monotonic() < deadline:
            time.sleep(POLL_S)
            app = self._manager.application(self.id)
        if not self._over.is_set():
            # The connection from the driver was lost; its own copy of the events was not.
            for line in self._manager.log(self.id, EVENTS)[self._count :]:
                self._write(line)
        if app["finalStatus"] == "SUCCEEDED":
            return 0
        # The JVM writes to stderr; what its Python wrote to either is in stdout.
        print("\n".join(self._late_log("stdout,stderr")[-SHOWN_LINES:]))
        print(
            "YARN: {} is {}: {}".format(self.id, app["finalStatus"], app.get("diagnostics", "").strip()),
            flush=True,
        )
        return exit_status(app)

    def _late_log(self, files: str) -> "list[str]":
        """The driver's log; YARN may say that it is there a moment before it is.

        Not waited for where the driver has said in its own words why it failed.
        """
        deadline = time.monotonic() + (0 if self._over.is_set() else AGGREGATED_S)
        while True:
            lines = self._manager.log(self.id, files)
            if lines or time.monotonic() > deadline:
                return lines
            time.sleep(1)

    def note(self, event: Event) -> None:
        """Write an event of our own."""
        self._write(json.dumps({"event": event["event"], "time": round(time.time(), 3), **event}))

    def _take(self, event: Event) -> None:
        """An event from the driver."""
        self._count += 1
        self._write(json.dumps(event))
        if event["event"] == "done" or (event["event"] == "failed" and "rank" not in event):
            self._over.set()

    def _write(self, line: str) -> None:
        self._events.write(line + "\n")
        self._events.flush()


def summary(app: dict[str, Any]) -> dict[str, Any]:
    """What is kept of YARN's report: id, state, and where the driver's container is, once it is somewhere."""
    container = re.search(r"(container_\w+)", app.get("amContainerLogs", ""))
    return {
        "id": app["id"],
        "state": app["state"],
        "container": container.group(1) if container else "",
        "host": app.get("amHostHttpAddress", "").partition(":")[0],
        "said": app.get("diagnostics", "").strip(),
    }


def exit_status(app: dict[str, Any]) -> int:
    """The driver's own exit status, as YARN reports it in words; 1 where it does not."""
    if app["finalStatus"] == "KILLED":
        return KILLED
    found = _STATUS.search(app.get("diagnostics", ""))
    return int(found.group(1)) or 1 if found else 1


def main(argv: Sequence[str]) -> int:
    """Run a job; see the module."""
    url, tag, events, yarn, *submit = argv
    manager = ResourceManager(url, yarn)
    job = Job(manager, tag, Path(events))

    def stop(_number: int, _frame: Any) -> None:  # noqa: ANN401
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        return job.run(submit, os.environ["NODE_ADDRESS"])
    except Down as error:
        words = [
            "YARN's ResourceManager",
            f"it does not answer at {error}",
            "Run `fab bootstrap`, which starts it.",
        ]
        job.note({"event": "failed", "message": " ".join(words), "exit_code": 1, "words": words})
        return 1
    except KeyboardInterrupt:
        found = {"id": job.id} if job.id else manager.tagged(tag)
        if found:
            manager.kill(found["id"])
        return KILLED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
