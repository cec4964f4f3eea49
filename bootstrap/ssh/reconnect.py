"""Connections that are opened again when they break: builds and jobs take longer than networks last."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import Unreachable
from bootstrap.ssh import limits
from bootstrap.ssh.remote import Connect, Remote, connect


class Link:
    """A connection to a node (default: the head), opened at first use; a `with` block closes it.

    `first` opens the first one: it may be one that is open already.
    """

    def __init__(self, cluster: Cluster, node: Node | None = None, first: Connect | None = None) -> None:
        self._cluster, self._node, self._first = cluster, node or cluster.head, first
        self._context: AbstractContextManager[Remote] | None = None
        self._remote: Remote | None = None

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def remote(self) -> Remote:
        """The connection in use.

        Raises:
            Unreachable: it cannot be opened.
        """
        return self._remote or self.reconnect()

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        context, self._context, self._remote = self._context, None, None
        if context is not None:
            context.__exit__(None, None, None)

    def reconnect(self) -> Remote:
        """Close the connection and open another; one attempt.

        Raises:
            Unreachable: it cannot be opened.
        """
        self.close()
        first, self._first = self._first, None
        context = (first or connect)(self._cluster, self._node)
        self._remote = context.__enter__()
        self._context = context
        return self._remote


class Recovery:
    """Reconnection for work that goes on where it stopped: reads of a log, polls of a unit.

    A node that lets us log in and then does not answer is given up as well, after `limits.RECOVER`.
    """

    def __init__(self, reconnect: Callable[[], Remote]) -> None:
        self._reconnect = reconnect
        self._since: float | None = None

    def answered(self) -> None:
        """Note that the work has got an answer."""
        self._since = None

    def reconnect(self, error: Unreachable) -> Remote:
        """Return a new connection after `error` ended the one before.

        Raises:
            Unreachable: `error`, if there was no answer for too long; otherwise see `reconnect_within`.
        """
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since > limits.RECOVER:
            raise error
        return reconnect_within(self._reconnect)


def reconnect_within(reconnect: Callable[[], Remote], seconds: float | None = None) -> Remote:
    """Call `reconnect` until it returns a connection, for at most `seconds` (default: limits.RECONNECT).

    Raises:
        Unreachable: the reason of the last attempt.
    """
    deadline, pause = time.monotonic() + (limits.RECONNECT if seconds is None else seconds), 0.2
    while True:
        try:
            return reconnect()
        except Unreachable:
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, limits.PAUSE)
