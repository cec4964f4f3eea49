"""A connection to the head that is made again when it breaks: jobs take longer than networks last."""

from __future__ import annotations

from contextlib import AbstractContextManager

from bootstrap.cluster import Cluster
from bootstrap.ssh.remote import Remote, connect


class Link:
    """A connection to the head, opened at first use."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._context: AbstractContextManager[Remote] | None = None
        self._remote: Remote | None = None

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
        """Give up the connection and open another.

        Raises:
            Unreachable: it cannot be opened.
        """
        self.close()
        context = connect(self._cluster, self._cluster.head)
        self._remote = context.__enter__()
        self._context = context
        return self._remote
