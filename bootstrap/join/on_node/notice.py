"""Notices that this machine is about to be taken: read from instance metadata, told to executors by a file.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html
"""

import calendar
import json
import os
import re
import time
import urllib.error
from contextlib import suppress
from typing import Callable, NamedTuple, Optional

from bootstrap.join.on_node import aws

FILE = "/run/caffe-spark-notice.json"
"""`jobs.trainer.contract.NOTICE_FILE`; /run is empty after a boot."""
POLL = 2
LIMIT = 5
"""Seconds for an answer of the metadata service."""
LIFETIME, RENEWAL = 21600, 60
"""Seconds that a token lasts, the most that there is, and before its end when another one is taken."""
HOOK = 110
"""Seconds that the group waits for this machine, by the terminating lifecycle hook."""


class Notice(NamedTuple):
    """A reason, and when the machine ends: seconds since the epoch, 0 if the cloud has not said."""

    why: str
    at: float
    certain: bool = True
    """False for a recommendation, which the cloud may withdraw."""


class Metadata:
    """Instance metadata by IMDSv2, with one token for its lifetime."""

    def __init__(self) -> None:
        self._token, self._until = "", 0.0

    def get(self, path: str) -> str:
        """Return an entry; empty if it does not exist."""
        for last in (False, True):
            if time.monotonic() >= self._until:
                headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(LIFETIME)}
                self._token = aws.metadata("api/token", "PUT", headers, LIMIT) or ""
                self._until = time.monotonic() + LIFETIME - RENEWAL
            try:
                headers = {"X-aws-ec2-metadata-token": self._token}
                return aws.metadata("meta-data/" + path, "GET", headers, LIMIT) or ""
            except urllib.error.HTTPError as error:
                # The service has forgotten the token: it is another one after a migration.
                if error.code != 401 or last:
                    raise
                self._until = 0.0
        raise AssertionError


def look(metadata: Metadata) -> Optional[Notice]:
    """Return the notice that stands; None if there is none."""
    action = metadata.get("spot/instance-action")
    if action:
        why = "the cloud reclaims this spot instance: " + re.sub(r"\s+", " ", action)
        return Notice(why, seconds(action))
    if metadata.get("autoscaling/target-lifecycle-state") == "Terminated":
        return Notice("the Auto Scaling group terminates this machine", time.time() + HOOK)
    if aws.setting("rebalance") and metadata.get("events/recommendations/rebalance"):
        return Notice("the cloud expects to reclaim this spot instance", 0.0, False)
    return None


def seconds(action: str) -> float:
    """Return the time of an action; 0 if it has none: whatever its form, it is a notice."""
    try:
        return calendar.timegm(time.strptime(json.loads(action)["time"], "%Y-%m-%dT%H:%M:%SZ"))
    except (ValueError, KeyError, TypeError):
        return 0.0


def await_certain(say: Callable[[str], None]) -> Notice:
    """Return the first certain notice; meanwhile recommendations are written and withdrawn."""
    withdraw()
    metadata, written, fails = Metadata(), False, False
    while True:
        try:
            found = look(metadata)
            if found is not None and found.certain:
                return found
            if (found is not None) != written:
                say("notice: {}".format(found.why if found else "withdrawn"))
                write(found) if found else withdraw()
                written = found is not None
            if fails:
                say("metadata: answers again")
            fails = False
        except Exception as error:
            # Once: it may be away for days.
            if not fails:
                say("metadata: {}".format(error))
            fails = True
        time.sleep(POLL)


def write(found: Notice) -> None:
    """Tell executors, which look for the file once a second."""
    new = FILE + ".new"
    with open(new, "w") as file:
        os.fchmod(file.fileno(), 0o644)
        json.dump({"why": found.why, "at": found.at}, file)
    os.replace(new, FILE)


def withdraw() -> None:
    """Remove what was told."""
    with suppress(FileNotFoundError):
        os.remove(FILE)
