"""Client of YARN's ResourceManager, over its web service and Hadoop's `yarn`.

Runs on the head: standard library only, Python 3.8.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from itertools import islice
from typing import Any, List, Optional

ANSWER_S = 5
DOWN_AFTER_S = 15.0
"""Seconds without a response after which the ResourceManager counts as down."""
KILL_S = 60.0
"""Seconds for `yarn application -kill`: the client tries again and again where nothing answers."""
LOG_S = 300.0
"""Seconds for `yarn logs`."""
NOT_FOUND = 404


class Down(Exception):
    """The ResourceManager does not answer."""


class Forgotten(Exception):
    """The ResourceManager answers, but does not know the application, or no longer."""


class ResourceManager:
    """Client of the ResourceManager at a URL; `yarn` is the path of Hadoop's command.

    It counts as down after `patience` seconds without a response.
    """

    def __init__(self, url: str, yarn: str, patience: float = DOWN_AFTER_S) -> None:
        self._url, self._yarn, self._patience = url.rstrip("/"), yarn, patience
        # Ignore proxies of the environment between nodes.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, patience: float | None = None) -> dict[str, Any]:
        """Query the web service.

        Raises:
            Down: no response for `patience` seconds (without it, the client's own).
            Forgotten: the resource does not exist.
        """
        deadline = time.monotonic() + (self._patience if patience is None else patience)
        request = urllib.request.Request(  # noqa: S310 - the stack's own URL
            self._url + "/ws/v1/cluster/" + path, headers={"Accept": "application/json"}
        )
        while True:
            try:
                with self._opener.open(request, timeout=ANSWER_S) as answer:
                    found: dict[str, Any] = json.loads(answer.read().decode())
                    return found
            except (OSError, ValueError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code == NOT_FOUND:
                    raise Forgotten(self._url) from error
                if time.monotonic() > deadline:
                    raise Down(f"{self._url} ({error})") from error
                time.sleep(1)

    def tagged(self, tag: str) -> dict[str, Any] | None:
        """Return the newest application with a tag; None without one."""
        apps = (self.get("apps?applicationTags=" + tag.lower())["apps"] or {}).get("app") or []
        return max(apps, key=lambda app: app["startedTime"]) if apps else None

    def application(self, id_: str, patience: float | None = None) -> dict[str, Any]:
        """Return the report of an application."""
        found: dict[str, Any] = self.get("apps/" + id_, patience)["app"]
        return found

    def kill(self, id_: str) -> None:
        """Kill an application; no effect if it has ended, or if YARN does not answer within KILL_S."""
        command = [self._yarn, "application", "-kill", id_]
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=KILL_S)
        except subprocess.TimeoutExpired:
            print("`{}` did not end within {:.0f} s".format(" ".join(command), KILL_S), flush=True)

    def log(self, id_: str, files: str, *, skip: int = 0, last: Optional[int] = None) -> List[str]:
        """Return the lines of log files (`a,b`) of the driver's container; empty without any.

        Those after the first `skip`, or only the `last` of them: a log may be larger than the memory. Only
        what has come within LOG_S.
        """
        command = [self._yarn, "logs", "-applicationId", id_, "-am", "1", "-log_files", files]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as printed:
            if printed.stdout is None:
                return []
            contents = Contents()
            lines = (line.decode(errors="replace").rstrip("\n") for line in printed.stdout)
            limit = threading.Timer(LOG_S, printed.kill)
            limit.daemon = True
            limit.start()
            try:
                found = list(deque(islice(filter(contents.has, lines), skip, None), maxlen=last))
                printed.wait()
                return found
            finally:
                limit.cancel()


class Contents:
    """Log contents in the output of `yarn logs`, which frames them; `has` takes its lines in order."""

    def __init__(self) -> None:
        self._inside = False

    def has(self, line: str) -> bool:
        """Return whether the next line belongs to a log."""
        if line.startswith("LogContents:"):
            self._inside = True
            return False
        if line.startswith("End of LogType:"):
            self._inside = False
        return self._inside
