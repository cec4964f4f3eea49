"""Parts of a tool that run at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import TypeVar

from tools.processes import programs

T = TypeVar("T")
MOST = 8


class Parts:
    """Parts that run at the same time, a thread each; a `with` block waits for their end.

    A part that needs another one calls `result` of that one's future. The first failure, or Ctrl-C, ends the
    programs of all parts (see `tools.processes`) and is raised at the end of the block.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MOST)
        self._futures: list[Future[object]] = []

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Start a part."""
        future = self._pool.submit(work)
        self._futures.append(future)  # type: ignore[arg-type]
        return future

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                programs.end()
                return
            for future in as_completed(self._futures):
                future.result()
        except BaseException:
            programs.end()
            raise
        finally:
            self._pool.shutdown(cancel_futures=True)
            programs.ready()
