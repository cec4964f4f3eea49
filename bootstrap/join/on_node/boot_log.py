"""End of the log of a boot that has failed, sent to CloudWatch Logs. Runs as root; standard library only.

systemd runs it after each end of the boot's unit (role `boot_log`). The agent (role `cloud_logs`) sends the
whole log, line by line, but on no machine whose boot fails before it runs. Settings are in the file that
CAFFE_SPARK_SETTINGS names: metadata, region, logs_url, group, log, withheld.
"""

import json
import os
import re
import sys
import time
from contextlib import suppress

from bootstrap.join.on_node import aws

STREAM = "boot-failed"
"""End of the stream's name, which begins with the instance's id."""
KEPT = 1 << 16
"""Bytes of the log's end: an event has 256 KiB at most, and a byte that is not UTF-8 becomes three.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html"""
PATIENCE = 45
"""Seconds of attempts, within the 90 that systemd leaves to a unit's end."""
LEFT_OUT = "(left out: it looks like a credential)"
TARGET = "Logs_20140328."
"""Version of the service's API, before the name of an action."""


def end_of(path: str) -> str:
    """Return whole lines of the log's end; half a secret would not be recognized."""
    with open(path, "rb") as log:
        begin = max(0, os.path.getsize(path) - KEPT)
        log.seek(begin)
        data = log.read(KEPT)
    return (data[data.find(b"\n") + 1 :] if begin else data).decode(errors="replace")


def without_secrets(text: str, withheld: str) -> str:
    """Return the text with LEFT_OUT in place of lines that one of the expressions finds."""
    patterns = [re.compile(one) for one in withheld.splitlines()]
    return "\n".join(
        LEFT_OUT if any(pattern.search(line) for pattern in patterns) else line for line in text.splitlines()
    )


def ask(action: str, **fields: object) -> None:
    more = {"content-type": "application/x-amz-json-1.1", "x-amz-target": TARGET + action}
    aws.call("logs", aws.setting("logs_url") + "/", "POST", json.dumps(fields).encode(), more=more)


def send(text: str) -> None:
    """Write one event to the stream of this machine, which is created if it is not there."""
    names = {
        "logGroupName": aws.setting("group"),
        "logStreamName": "{}/{}".format(aws.instance("instance-id"), STREAM),
    }
    try:
        ask("CreateLogStream", **names)
    except aws.Refusal as error:
        if "ResourceAlreadyExistsException" not in str(error):
            raise
    ask("PutLogEvents", logEvents=[{"timestamp": int(1000 * time.time()), "message": text}], **names)


def main() -> int:
    # https://www.freedesktop.org/software/systemd/man/systemd.exec.html#%24SERVICE_RESULT
    if os.environ.get("SERVICE_RESULT", "") == "success":
        return 0
    text = ""
    with suppress(OSError):
        text = end_of(aws.setting("log"))
    said = without_secrets(text, aws.setting("withheld")) or "the boot has failed without a log"
    try:
        aws.persist(PATIENCE, lambda: send(said))
    except Exception as error:  # the journal has it, and the boot is tried again
        print("the log was not sent: {}".format(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
