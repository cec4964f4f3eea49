"""Fixtures of events: the driver's channel and journal."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer import contract
from jobs.trainer.events.channel import Channel
from jobs.trainer.events.journal import Journal


class Inbox:
    """Collects events and lets a test wait for them."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._news = threading.Condition()

    def add(self, event: contract.Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def wait(self, count: int) -> list[Any]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.events) >= count, timeout=10)
            return self.events


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def channel(inbox: Inbox) -> Any:
    channel = Channel("127.0.0.1", inbox.add)
    yield channel
    channel.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "events.jsonl", io.StringIO())
