"""A machine on which no thread can be started, as at the limit of its user's processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def threads_run_out(
    monkeypatch: pytest.MonkeyPatch, of: type[threading.Thread] = threading.Thread
) -> Iterator[None]:
    """Let no thread of this class start while the block runs."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as here:
        here.setattr(of, "start", start)
        yield
