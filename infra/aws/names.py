"""Physical names that the cloud completes: a prefix that says whose the thing is. Pure."""

from __future__ import annotations

import re

from infra.tags import full_name


def prefix(stack: str, part: str, most: int) -> str:
    """`caffe-spark-STACK-PART-`, cut to the `most` characters that the service takes, in letters it takes.

    S3 is the strictest: small letters, digits, hyphens, and 37 of them beside its own 26.
    """
    name = re.sub(r"[^a-z0-9]+", "-", full_name(stack, part).lower())
    return f"{name[: most - 1].rstrip('-')}-"
