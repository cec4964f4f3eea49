"""Name prefixes of resources that AWS completes to unique names. Pure."""

from __future__ import annotations

import re

from infra.tags import full_name


def prefix(stack: str, part: str, max_length: int) -> str:
    """Return `caffe-spark-STACK-PART-`, cut to `max_length` characters, all of them valid in S3.

    S3 is the strictest service: lower-case letters, digits, hyphens, and 37 characters before its own 26.
    """
    name = re.sub(r"[^a-z0-9]+", "-", full_name(stack, part).lower())
    return f"{name[: max_length - 1].rstrip('-')}-"
