"""Job specifications for tests: the project's own, changed where a test needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from jobs.spec import JobSpec
from jobs.spec_file import read_spec

GOOD: dict[str, Any] = {
    "name": "mnist",
    "solver": "s.prototxt",
    "net": "n.prototxt",
    "executors": 2,
    "features": ["accuracy", "loss"],
    "label": "label",
}
Write = Callable[..., Path]
SPECS = Path(__file__).parents[2] / "jobs" / "specs"


def mnist_spec(**changes: Any) -> JobSpec:
    """Return jobs/specs/mnist.yaml with changes."""
    read = read_spec(SPECS / "mnist.yaml")
    return JobSpec.model_validate({**read.model_dump(), **changes}) if changes else read


def writer(folder: Path) -> Write:
    """Return a function that writes a specification with changes beside the files that it names."""

    def write(**changes: Any) -> Path:
        for name in ("s.prototxt", "n.prototxt"):
            (folder / name).touch()
        document = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
        path = folder / "job.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write
