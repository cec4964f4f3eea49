"""Connections that stay open between uses: a command that works on nodes several times logs in once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import Unreachable
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.remote import SshRemote


class Kept:
    """A connection to each node, opened at first use; threads share it, and a `with` block closes all."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[SshRemote, AbstractContextManager[SshRemote]]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._open):
            self._close(name)

    @contextmanager
    def connect(self, cluster: Cluster, node: Node) -> Iterator[SshRemote]:
        """Yield the node's connection, as `remote.connect` does; one that has broken is replaced.

        Raises:
            Unreachable, ConfigError: it cannot be opened.
        """
        with self._lock:
            lock = self._locks.setdefault(node.name, threading.Lock())
        with lock:
            remote, _ = self._open.get(node.name, (None, None))
            if remote is None or not remote.alive:
                self._close(node.name)
                context = ssh.connect(cluster, node)
                remote = context.__enter__()
                self._open[node.name] = remote, context
        try:
            yield remote
        except Unreachable:
            # It may be open and not answer. Others who use it fail as well, or have what they wanted.
            with lock:
                if self._open.get(node.name, (None,))[0] is remote:
                    self._close(node.name)
            raise

    def _close(self, name: str) -> None:
        _, context = self._open.pop(name, (None, None))
        if context is not None:
            context.__exit__(None, None, None)
