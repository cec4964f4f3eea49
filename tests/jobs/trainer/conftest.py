"""A job on a stand-in for Spark."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.events.journal import Journal
from tests.jobs.trainer.stage import World, on_stage


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A job of two ranks, with its events in a file."""
    made = World(monkeypatch).running
    on_stage(made, "ethernet")
    made.journal = Journal(tmp_path / "events.jsonl", io.StringIO())
    return made
