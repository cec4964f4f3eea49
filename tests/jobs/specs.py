"""Job specifications for tests: the project's own, changed where a test needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.spec import JobSpec

SPECS = Path(__file__).parents[2] / "jobs" / "specs"


def mnist_spec(**changes: Any) -> JobSpec:
    """Return jobs/specs/mnist.yaml with changes."""
    read = JobSpec.from_file(SPECS / "mnist.yaml")
    return JobSpec.model_validate({**read.model_dump(), **changes}) if changes else read
