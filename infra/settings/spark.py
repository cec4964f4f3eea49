"""The setting `spark` of every kind of stack: a release of Spark, and the distributions that can run it."""

from __future__ import annotations

from typing import Annotated, Final

from bootstrap.cluster import HDINSIGHT, NEWEST, SparkLine
from infra.settings.section import Hint

Line = Annotated[SparkLine, Hint(NEWEST, f"{NEWEST}, {HDINSIGHT}")]
OLD_PYTHON: Final = {
    "ubuntu-18.04": "3.6",
    "ubuntu-20.04": "3.8",
    "ubuntu-22.04": "3.10",
    "debian-10": "3.7",
    "debian-11": "3.9",
}
"""Distributions whose Python is too old for Spark 4.3, which requires 3.11."""


def newest(distribution: str) -> SparkLine:
    """Return the newest Spark that a distribution can run. Pure."""
    return HDINSIGHT if distribution in OLD_PYTHON else NEWEST


def too_old(distribution: str) -> str:
    """Return the reason why Spark 4.3 does not run on a distribution; empty if it does. Pure."""
    python = OLD_PYTHON.get(distribution)
    return f"{distribution} has Python {python}, and Spark {NEWEST} requires 3.11" if python else ""
