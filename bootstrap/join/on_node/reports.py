"""Reports and logs that workers leave in the bucket, as the head reads them. Standard library only."""

import http.client
import json
import sys
from contextlib import suppress

from bootstrap.join.on_node import aws

LONGEST = 64 << 10
"""Bytes of a report; a longer one is not read."""
MOST_SAID = 500
"""Characters of a reason."""

UNREAD = RuntimeError, OSError, http.client.HTTPException


def reason(role: str, instance: str) -> str:
    """Return why a worker has failed to join, in one line; empty if it has not, or has not told.

    `role` is the unique id of the workers' IAM role, which is part of the keys.
    """
    try:
        found = aws.call("s3", aws.stored(_key(role, instance, "node.json")), most=LONGEST)
        report = json.loads(found.decode()) if found else {}
        if report.get("state") != "failed":
            return ""
        said = str(report.get("said", ""))
    except (*UNREAD, ValueError, AttributeError) as error:
        print("the report of {}: {}".format(instance, error), file=sys.stderr)
        return ""
    # Root of that machine has written it, and people read it on a terminal.
    plain = "".join(character if character.isprintable() else " " for character in said)
    return " ".join(plain.split())[-MOST_SAID:] or "it gives no reason"


def log(role: str, instance: str) -> str:
    """Return the key of the log that a worker has left; empty if there is none."""
    key = _key(role, instance, "boot.log")
    with suppress(*UNREAD):
        if aws.call("s3", aws.stored(key), "HEAD") is not None:
            return key
    return ""


def _key(role: str, instance: str, name: str) -> str:
    return "{}/{}:{}/{}".format(aws.setting("nodes"), role, instance, name)
