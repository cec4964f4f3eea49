"""Follower of a job on YARN in cluster mode, which keeps its events and log on the head as in client mode.

    python -m jobs.backends.on_head.yarn RESOURCE_MANAGER TAG EVENTS YARN spark-submit …

The driver runs in a container on a worker. It sends its events to this program, which appends them to
EVENTS; the driver's log goes to stdout if it failed. spark-submit ends once the application is accepted, so
no JVM waits here while the job runs. SIGTERM kills the application.

Exit status: 0, the driver's own, 1 when YARN refused or ended it, 143 when a signal to it killed the job. In
a unit that begins again (CAFFE_SPARK_RESTARTS is set), 137 when the driver has ended without a word.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from jobs.backends.on_head.resource_manager import Down, Forgotten, ResourceManager
from jobs.trainer import contract
from jobs.trainer.contract import EVENTS_FILE, FEED_ENV, FEED_FILE, KILLED, RESTARTS_ENV, SIGNALLED, Event
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Channel

LOST = SIGNALLED + signal.SIGKILL
"""Exit status of a job whose driver was lost, as of a process that was killed."""
PATIENCE_S = 180.0
"""Seconds to wait for the ResourceManager while a job runs: a standby may take over."""
WAITING_AFTER_S = 10.0
"""Seconds in the state ACCEPTED after which YARN's reason is reported."""
POLL_S = 0.5
SUBMIT_S = 1800.0
"""Seconds for spark-submit, which uploads the job's files and ends when YARN has accepted the application."""
LATE_EVENTS_S = 3.0
AGGREGATED_S = 20.0
"""Seconds to wait for aggregated logs; aggregation takes about two."""
SOON_S = 5.0
SHOWN_LINES = 400
_STATUS = re.compile(r"(?:exited with status|exitCode:) (\d+)")
_OVER = ("FINISHED", "FAILED", "KILLED")
_AGGREGATED = ("SUCCEEDED", "FAILED", "DISABLED", "TIME_OUT")


class YarnRun:
    """A job from its submission to its end."""

    def __init__(self, manager: ResourceManager, tag: str, events: Path) -> None:
        self._manager, self._tag = manager, tag
        self._events = events.open("a")
        self._restarts = int(os.environ.get(RESTARTS_ENV, "0"))
        self._count = 0
        self._over = threading.Event()
        self._succeeded = False
        self.id = ""

    def run(self, submit: Sequence[str], address: str) -> int:
        """Submit and follow the job; return its exit status.

        Raises:
            Down: the ResourceManager does not answer.
            Forgotten: it was restarted and lost the application.
        """
        self._manager.get("info", PATIENCE_S if self._restarts else None)
        # Of a run of this program that was lost: its driver may live on.
        earlier = self._manager.tagged(self._tag) if self._restarts else None
        if earlier is not None and earlier["state"] not in _OVER:
            self._manager.kill(earlier["id"])
        channel = Channel(address, self._take)
        code = self._submit(with_feed(submit, channel.address.text))
        found = self._manager.tagged(self._tag)
        if found is not None and earlier is not None and found["id"] == earlier["id"]:
            found = None
        if found is not None and code is None:
            self._manager.kill(found["id"])
        if code is None:
            print(f"spark-submit did not end within {SUBMIT_S:.0f} s and was killed, with its application")
            return 1
        if found is None:
            print(f"spark-submit ended with status {code}, and YARN has no application of it")
            # Storage may come up later than YARN.
            return LOST if self._restarts else code or 1
        self.id = found["id"]
        app = self._follow(found)
        self._over.wait(LATE_EVENTS_S)
        channel.close()
        return self._end(app)

    def _submit(self, words: Sequence[str]) -> Optional[int]:
        """Run spark-submit; return its exit status, None if it was killed at its limit."""
        try:
            return subprocess.call(words, stdin=subprocess.DEVNULL, timeout=SUBMIT_S)
        except subprocess.TimeoutExpired:
            return None

    def _follow(self, app: dict[str, Any]) -> dict[str, Any]:
        state, since, reported = "", time.monotonic(), False
        while True:
            if app["state"] != state:
                state, since, reported = app["state"], time.monotonic(), False
                self.note(summary(app))
            if state in _OVER:
                return app
            if state == "ACCEPTED" and not reported and time.monotonic() - since > WAITING_AFTER_S:
                reported = True
                self.note(contract.Waiting(summary(app).said))
            time.sleep(POLL_S)
            try:
                app = self._manager.application(self.id, PATIENCE_S)
            except (Down, Forgotten):
                if not self._over.is_set():
                    raise
                # The driver has reported its end itself.
                return {
                    **app,
                    "state": "FINISHED",
                    "finalStatus": "SUCCEEDED" if self._succeeded else "FAILED",
                }

    def _end(self, app: dict[str, Any]) -> int:
        if app["finalStatus"] == "SUCCEEDED" and self._over.is_set():
            return 0
        if self.lost and app["finalStatus"] != "KILLED":
            print(f"YARN: {self.id} has lost its driver: {summary(app).said}", flush=True)
            return LOST
        deadline = time.monotonic() + (SOON_S if self._over.is_set() else AGGREGATED_S)
        while app.get("logAggregationStatus") not in _AGGREGATED and time.monotonic() < deadline:
            time.sleep(POLL_S)
            try:
                app = {**app, **self._manager.application(self.id)}
            except (Down, Forgotten):
                break
        if not self._over.is_set():
            # The connection from the driver was lost; read its own copy of the events.
            for line in self._manager.log(self.id, EVENTS_FILE, skip=self._count):
                self._write(line)
        if app["finalStatus"] == "SUCCEEDED":
            return 0
        # The JVM writes to stderr; all output of its Python is in stdout.
        print("\n".join(self._late_log("stdout,stderr")))
        print(
            "YARN: {} is {}: {}".format(self.id, app["finalStatus"], app.get("diagnostics", "").strip()),
            flush=True,
        )
        return exit_status(app)

    @property
    def lost(self) -> bool:
        """Return whether the driver has ended without telling why, and whoever runs this begins it again.

        One that never spoke may not be able to start at all.
        """
        spoke = self._count > 0 or self._restarts > 0
        return RESTARTS_ENV in os.environ and spoke and not self._over.is_set()

    def _late_log(self, files: str) -> "list[str]":
        """Return the end of the driver's log; YARN may report it aggregated a moment too early.

        Does not wait if the driver has reported why it failed.
        """
        deadline = time.monotonic() + (0 if self._over.is_set() else AGGREGATED_S)
        while True:
            lines = self._manager.log(self.id, files, last=SHOWN_LINES)
            if lines or time.monotonic() > deadline:
                return lines
            time.sleep(1)

    def note(self, event: Event) -> None:
        """Write an event of this program."""
        self._write(contract.dump(contract.stamped(event)))

    def refuse(self, code: str, **fields: str) -> int:
        """Write a failure event and return its exit status."""
        error = TrainerError(code, **fields)
        self.note(contract.Failed(code=code, fields=dict(fields), message=str(error)))
        return error.exit_code

    def _take(self, event: Event) -> None:
        """Take in an event of the driver."""
        self._count += 1
        self._write(contract.dump(event))
        if isinstance(event, (contract.Done, contract.Failed)):
            self._succeeded = isinstance(event, contract.Done)
            self._over.set()

    def _write(self, line: str) -> None:
        self._events.write(line + "\n")
        self._events.flush()


def summary(app: dict[str, Any]) -> contract.Application:
    """Return the event of YARN's report."""
    container = re.search(r"(container_\w+)", app.get("amContainerLogs", ""))
    return contract.Application(
        id=app["id"],
        state=app["state"],
        container=container.group(1) if container else "",
        host=app.get("amHostHttpAddress", "").partition(":")[0],
        said=reason(app.get("diagnostics", "")),
    )


def reason(diagnostics: str) -> str:
    """Return YARN's diagnostics without the date and the figures of the queue."""
    return re.sub(r"^\[[^]]*\]\s*", "", diagnostics.strip()).partition("Details :")[0].strip()


def exit_status(app: dict[str, Any]) -> int:
    """Return the driver's exit status from YARN's diagnostics; 1 without one, or if YARN killed it."""
    if app["finalStatus"] == "KILLED":
        return KILLED
    found = _STATUS.search(app.get("diagnostics", ""))
    status = int(found.group(1)) if found else 1
    return status if 0 < status < SIGNALLED else 1


def with_feed(submit: Sequence[str], feed: str) -> "list[str]":
    """Write the feed file for the driver; return spark-submit's command line with it."""
    # Shipped as a file, since command lines and environments are visible to others.
    path = Path(FEED_FILE)
    path.touch(mode=0o600)
    path.write_text(feed)
    conf = ["--conf", f"spark.yarn.appMasterEnv.{FEED_ENV}={FEED_FILE}"]
    if restarts := os.environ.get(RESTARTS_ENV):
        conf += ["--conf", f"spark.yarn.appMasterEnv.{RESTARTS_ENV}={restarts}"]
    words = [submit[0], *conf, *submit[1:]]
    files = words.index("--files") + 1
    return [*words[:files], f"{words[files]},{FEED_FILE}", *words[files + 1 :]]


def main(argv: Sequence[str]) -> int:
    """Run a job; see the module's docstring."""
    url, tag, events, yarn, *submit = argv
    manager = ResourceManager(url, yarn)
    job = YarnRun(manager, tag, Path(events))

    def stop(_number: int, _frame: Any) -> None:  # noqa: ANN401
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        return job.run(submit, os.environ["NODE_ADDRESS"])
    except Down as error:
        return job.refuse("resource-manager-down", address=str(error))
    except Forgotten as error:
        if job.lost:
            return LOST
        return job.refuse("application-forgotten", address=str(error), application=job.id)
    except KeyboardInterrupt:
        try:
            found = {"id": job.id} if job.id else manager.tagged(tag)
        except Down:
            return KILLED  # `fab kill` queries YARN itself and reports that it is down
        if found:
            manager.kill(found["id"])
        return KILLED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
