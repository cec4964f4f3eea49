"""Signal handling while a job is followed: SIGTERM acts as Ctrl-C; a kill is not interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | int | None


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM."""


def stopping_signals() -> AbstractContextManager[None]:
    """Raise `Terminated` on SIGTERM in this block."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    return handled({signal.SIGTERM: stop})


@contextmanager
def handled(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    """Install signal handlers in this block; no effect outside the main thread, where Python forbids it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def uninterrupted() -> AbstractContextManager[None]:
    """Ignore SIGINT and SIGTERM in this block."""
    return handled({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN})
