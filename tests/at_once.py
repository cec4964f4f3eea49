"""Several callers at the same moment, as two operators are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT_S = 60


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Run the calls in threads that start together; give their results, or raise the first failure."""
    start = threading.Barrier(len(calls))
    results: dict[int, T] = {}
    failures: list[BaseException] = []

    def run(number: int, call: Callable[[], T]) -> None:
        start.wait(TIMEOUT_S)
        try:
            results[number] = call()
        except BaseException as error:  # the test's own thread raises it
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=(number, call), daemon=True) for number, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "a caller does not come back"
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(calls))]
