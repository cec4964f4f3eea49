"""A job on a stand-in for Spark."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.events.journal import Journal
from tests.jobs.trainer.stage import World, on_stage


@pytest.fixture
def spark_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types of Spark's frames as plain values."""
    types = SimpleNamespace(
        ArrayType=lambda element, containsNull: ("array", element, containsNull),
        FloatType=lambda: "float",
        IntegerType=lambda: "int",
        StringType=lambda: "string",
        StructField=lambda name, kind, nullable: (name, kind, nullable),
        StructType=list,
    )
    for name, module in (("pyspark", None), ("pyspark.sql", None), ("pyspark.sql.types", types)):
        monkeypatch.setitem(sys.modules, name, module or SimpleNamespace())


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A job of two ranks, with its events in a file."""
    made = World(monkeypatch).running
    on_stage(made, "ethernet")
    made.journal = Journal(tmp_path / "events.jsonl", io.StringIO())
    return made
