"""A connection to the head that is made again when it breaks: jobs take longer than networks last."""

from __future__ import annotations

from contextlib import AbstractContextManager

from bootstrap.cluster import Cluster
from bootstrap.remote import Remote, connect


class Link:
    """The connection to the head, made again when it breaks."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._context: AbstractContextManager[Remote] | None = None
        self.remote: Remote

    def __enter__(self) -> Link:
        self.reconnect()
        return self

    def __exit__(self, *_: object) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None

    def reconnect(self) -> Remote:
        """Give up the connection and make another."""
        self.__exit__()
        context = connect(self._cluster, self._cluster.head)
        self.remote = context.__enter__()
        self._context = context
        return self.remote
