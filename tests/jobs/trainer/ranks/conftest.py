"""Fixtures of ranks: the driver's channel."""

from __future__ import annotations

from tests.jobs.trainer.events.conftest import channel, inbox

__all__ = ["channel", "inbox"]
