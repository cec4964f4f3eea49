"""Simulated instance metadata service of a node, IMDSv2, as AWS documents it.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

LIFETIMES: Final = range(1, 21601)
"""Seconds that a token may last."""
PREFIX: Final = "/latest/meta-data/"
ROLE: Final = "drill"
TERMINATED: Final = "Terminated"

_ACTION: Final = "spot/instance-action"
_TIME: Final = "spot/termination-time"
_RECOMMENDATION: Final = "events/recommendations/rebalance"
_LIFECYCLE: Final = "autoscaling/target-lifecycle-state"


class Tokens:
    """Session tokens, each for its own number of seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._until = clock, dict[str, float]()
        self.issued = 0

    def issue(self, seconds: str) -> str:
        """Return a new token; empty for a lifetime that the service refuses."""
        if not (seconds.isascii() and seconds.isdecimal()) or int(seconds) not in LIFETIMES:
            return ""
        token = secrets.token_urlsafe(40)
        self._until[token] = self._clock() + int(seconds)
        self.issued += 1
        return token

    def valid(self, token: str) -> bool:
        """Return whether a token was issued and has not expired."""
        return self._until.get(token, 0.0) > self._clock()

    def forget(self) -> None:
        """Make all tokens invalid, as a move to another host may."""
        self._until.clear()


class InstanceMetadata:
    """Metadata of one node; the drill changes them while the node reads them.

    `on_read` is called once when the node has read that it will be taken.
    """

    def __init__(self, instance: str, address: str, on_read: Callable[[], object] = lambda: None) -> None:
        self.instance, self.tokens = instance, Tokens()
        self._on_read, self._lock, self._told = on_read, threading.Lock(), False
        self._entries = {
            "instance-id": instance,
            "local-ipv4": address,
            "placement/availability-zone": "drill-1a",
            _LIFECYCLE: "InService",
            "iam/security-credentials/": ROLE,
            # Keys of nobody: what the node signs with them arrives at the drill alone.
            f"iam/security-credentials/{ROLE}": json.dumps(
                {"Code": "Success", "AccessKeyId": "drill", "SecretAccessKey": "drill", "Token": ""}
            ),
        }

    def announce(self, at: float) -> None:
        """Tell that the instance is terminated at that time, in seconds since the epoch."""
        moment = _utc(at)
        with self._lock:
            self._told = False
            self._entries[_ACTION] = json.dumps({"action": "terminate", "time": moment})
            self._entries[_TIME] = moment

    def recommend(self) -> None:
        """Tell that the instance is at an elevated risk of an interruption."""
        with self._lock:
            self._entries[_RECOMMENDATION] = json.dumps({"noticeTime": _utc(time.time())})

    def terminate(self) -> None:
        """Tell that the Auto Scaling group terminates the instance."""
        with self._lock:
            self._told = False
            self._entries[_LIFECYCLE] = TERMINATED

    def withdraw(self) -> None:
        """Tell of no interruption."""
        with self._lock:
            for path in (_ACTION, _TIME, _RECOMMENDATION):
                self._entries.pop(path, None)
            self._entries[_LIFECYCLE] = "InService"

    def token(self, seconds: str, *, forwarded: bool) -> tuple[int, str]:
        """Answer a request for a token: status and text. A proxy's request is refused."""
        if forwarded:
            return 403, "Forbidden"
        token = self.tokens.issue(seconds)
        return (200, token) if token else (400, "Bad Request")

    def get(self, path: str, token: str) -> tuple[int, str]:
        """Answer a request for an entry: status and text."""
        if not self.tokens.valid(token):
            return 401, "Unauthorized"
        if not path.startswith(PREFIX):
            return 404, "Not Found"
        key = path[len(PREFIX) :]
        with self._lock:
            text = self._entries.get(key)
            news = text is not None and (key == _ACTION or (key == _LIFECYCLE and text == TERMINATED))
            first = news and not self._told
            self._told = self._told or news
        if first:
            self._on_read()
        return (404, "Not Found") if text is None else (200, text)


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
