"""Lines on the progress of a tool, every few seconds."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator, TypeVar

TOLD_S = 5.0
"""Seconds between lines."""
PREFIX = "convert  "
"""Begins each line that is for the operator; the rest of the log is Spark's."""

T = TypeVar("T")


def tell(text: str) -> None:
    """Print a line for the operator."""
    print(PREFIX + text, flush=True)


@contextmanager
def told(count: Callable[[], int], total: int = 0) -> Iterator[None]:
    """Print the count of records every few seconds in this block; `total` is how many there are, if known."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(TOLD_S):
            # A task that Spark repeats counts its records twice, and writes them once.
            now = min(count(), total) if total else count()
            tell("{:,}{} records".format(now, " of {:,}".format(total) if total else ""))

    teller = threading.Thread(target=run, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def counted(rows: Iterable[T], counter: Any) -> Iterator[T]:  # noqa: ANN401 - an accumulator of Spark
    """Yield rows; add their number to a counter at the end, which the driver learns as the task ends."""
    count = 0
    for row in rows:
        count += 1
        yield row
    counter.add(count)
