"""Work on several nodes in parallel: a thread for each node, results in the nodes' order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from bootstrap.cluster import Node

T = TypeVar("T")


class OnAll(Generic[T]):
    """Work that has been started on every node.

    The threads are daemons: Ctrl-C interrupts `join` at once, and nothing waits for them when the process
    exits. Each thread tells its end by an event: `Thread.join` of Python 3.11, once interrupted, takes a
    running thread for ended (python/cpython#90882).
    """

    def __init__(self, nodes: Sequence[Node], work: Callable[[Node], T]) -> None:
        self._nodes, self._work = nodes, work
        self._results: dict[str, T] = {}
        self._errors: dict[str, BaseException] = {}
        self._ended = {node.name: threading.Event() for node in nodes}
        for node in nodes:
            threading.Thread(target=self._run, args=(node,), name=node.name, daemon=True).start()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the work has ended on every node, for at most `timeout` seconds in all."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for ended in self._ended.values():
            ended.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def results(self) -> list[T]:
        """Wait for the work and return its results; raise the error of the first node that has one."""
        self.join()
        for node in self._nodes:
            if node.name in self._errors:
                raise self._errors[node.name]
        return [self._results[node.name] for node in self._nodes]

    def _run(self, node: Node) -> None:
        try:
            self._results[node.name] = self._work(node)
        except BaseException as error:  # raised by the thread that asks for the results
            self._errors[node.name] = error
        finally:
            self._ended[node.name].set()


def on_all(nodes: Sequence[Node], work: Callable[[Node], T]) -> list[T]:
    """Call `work` with every node in parallel and return the results in the nodes' order.

    Raises:
        Whatever `work` raised, for the first node in order, once the work has ended on all nodes.
    """
    return OnAll(nodes, work).results()
