"""Physical names that the cloud completes: a prefix that says whose the thing is. Pure."""

from __future__ import annotations

import re

from infra.tags import full_name


def prefix(stack: str, part: str, max_length: int) -> str:
    """`caffe-spark-STACK-PART-`, cut to `max_length`, in characters that the service takes.

    S3 is the strictest: small letters, digits, hyphens, and 37 of them beside its own 26.
    """
    name = re.sub(r"[^a-z0-9]+", "-", full_name(stack, part).lower())
    return f"{name[: max_length - 1].rstrip('-')}-"
