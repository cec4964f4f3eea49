"""Stand-in for `caffe_allreduce`: its group over plain sockets, as trusting as gloo.

A port for each peer; the first connection to it is taken for that peer, whoever made it.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np


class PeerLost(RuntimeError):
    pass


class Group:
    """See `caffe_allreduce.Group`."""

    on_listen: Callable[[int], None] = staticmethod(lambda port: None)
    """Called with each port before the group's user hears of it."""

    def __init__(
        self, rank: int, size: int, address: str, exchange: Callable[[bytes], list[bytes]], timeout_s: float
    ) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout_s
        self.peers = [peer for peer in range(size) if peer != rank]
        self.connections: dict[int, socket.socket] = {}
        self.remote_ports: dict[int, int] = {}
        """Of each peer's connection, also when the peer has closed it."""
        self._accepted = {peer: threading.Event() for peer in self.peers}
        self._addresses: dict[int, bytes] = {}
        self._listeners = {peer: self._listen(peer, address) for peer in self.peers}
        mine = {
            "addresses": [
                base64.b64encode(self._addresses[peer]).decode() if peer != rank else ""
                for peer in range(size)
            ]
        }
        try:
            gathered = [json.loads(one)["addresses"] for one in exchange(json.dumps(mine).encode())]
            for peer in self.peers:
                self._connect(peer, base64.b64decode(gathered[peer][rank]))
        except BaseException:
            self.close()
            raise

    def allreduce_mean(self, values: np.ndarray) -> np.ndarray:
        given = np.asarray(values, np.float64)
        try:
            with ThreadPoolExecutor(self.size) as pool:
                for peer in self.peers:
                    pool.submit(self.connections[peer].sendall, given.tobytes())
                parts = [_read(self.connections[peer], given.nbytes) for peer in self.peers]
        except OSError as error:
            raise PeerLost(str(error)) from error
        total = sum((np.frombuffer(part).reshape(given.shape) for part in parts), given)
        return np.asarray(total / self.size)

    def close(self) -> None:
        for listener in self._listeners.values():
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # ends the thread's accept
            listener.close()
        for connection in self.connections.values():
            connection.close()

    def _listen(self, peer: int, address: str) -> socket.socket:
        listener = socket.create_server((address, 0), backlog=1)
        self._addresses[peer] = _sockaddr(listener)
        threading.Thread(target=self._take, args=(peer, listener), daemon=True).start()
        self.on_listen(_port(self._addresses[peer]))
        return listener

    def _take(self, peer: int, listener: socket.socket) -> None:
        try:
            self.connections[peer], (_, self.remote_ports[peer]) = listener.accept()
        except OSError:
            return
        self._accepted[peer].set()
        listener.close()

    def _connect(self, peer: int, theirs: bytes) -> None:
        if self._addresses[peer] < theirs:
            if not self._accepted[peer].wait(self.timeout):
                raise PeerLost(f"rank {peer} did not connect")
        else:
            where = (socket.inet_ntoa(theirs[4:8]), _port(theirs))
            self.remote_ports[peer] = where[1]
            try:
                self.connections[peer] = socket.create_connection(where, self.timeout)
            except OSError as error:
                raise PeerLost(str(error)) from error
        self.connections[peer].settimeout(self.timeout)


def _sockaddr(listener: socket.socket) -> bytes:
    host, port = listener.getsockname()
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(128)


def _port(address: bytes) -> int:
    port: int = struct.unpack_from(">H", address, 2)[0]
    return port


def _read(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part: Any = connection.recv(size - len(found))
        if not part:
            raise OSError("the connection was closed")
        found += part
    return found
