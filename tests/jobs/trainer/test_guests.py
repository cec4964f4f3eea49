"""Connections of clients that nobody knows yet."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from jobs.trainer.guests import Guest, Guests, bound, family_of

SOON = 20.0
GREETING = b"hello"


class Listener(socket.socket):
    """A listening socket that fails to accept where it is told to."""

    fails: tuple[int, ...] = ()

    def accept(self) -> Any:
        if self.fails:
            number, *rest = self.fails
            self.fails = tuple(rest)
            raise OSError(number, "as asked for")
        return super().accept()


class Desk:
    """Guests that are served in a thread, and those who were judged."""

    def __init__(self, *, most: int = 8, patience: float = 60.0, takes: bool = False) -> None:
        self.judged: Queue[Guest] = Queue()
        self.listener = Listener(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.at = self.listener.getsockname()
        self._takes, self._stop = takes, threading.Event()
        guests = Guests(
            self.listener, most=most, size=4, patience=patience, judge=self._judge, greet=lambda: GREETING
        )
        self._thread = threading.Thread(target=guests.serve, args=(self._stop,))
        self._thread.start()

    def _judge(self, guest: Guest) -> bool:
        self.judged.put(guest)
        return self._takes

    def client(self, said: bytes = b"") -> socket.socket:
        """Return a connection that has been greeted."""
        made = socket.create_connection(self.at, SOON)
        made.sendall(said)
        assert made.recv(len(GREETING)) == GREETING
        return made

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    """Open a desk; close it at the end."""
    opened = []

    def make(**options: Any) -> Desk:
        opened.append(Desk(**options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def closed(client: socket.socket) -> bool:
    return client.recv(1) == b""


def stays(client: socket.socket, desk: Desk) -> bool:
    """Return whether a client is still heard."""
    client.sendall(b"here")
    return desk.judged.get(timeout=SOON).said == b"here"


def test_who_has_said_enough_is_judged_and_no_byte_more_is_read(desk: Callable[..., Desk]) -> None:
    at = desk(takes=True)
    with at.client(b"abcdEF") as client:
        guest = at.judged.get(timeout=SOON)

        assert (guest.said, guest.greeting) == (b"abcd", GREETING)
        # The thread that serves all waits for none, nor for a client that is gone before it is accepted.
        assert not guest.connection.getblocking()
        assert not at.listener.getblocking()
        guest.connection.settimeout(SOON)
        assert guest.connection.recv(9) == b"EF"
        guest.connection.sendall(b"!")
        assert client.recv(1) == b"!"
        guest.connection.close()


def test_who_says_no_more_is_judged_by_that_and_closed_where_nobody_takes_it(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    with at.client(b"ab") as client:
        client.shutdown(socket.SHUT_WR)

        assert at.judged.get(timeout=SOON).said == b"ab"
        assert closed(client)


def test_the_oldest_makes_room_once_every_place_is_taken(desk: Callable[..., Desk]) -> None:
    at = desk(most=2)
    with at.client() as first, at.client() as second, at.client() as third:
        assert closed(first)
        assert stays(second, at)
        assert stays(third, at)


def test_silence_ends_after_a_while(desk: Callable[..., Desk]) -> None:
    with desk(patience=0.1).client() as client:
        assert closed(client)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_without_a_free_descriptor_the_oldest_makes_room(desk: Callable[..., Desk], number: int) -> None:
    at = desk()
    with at.client() as first, at.client() as second:
        at.listener.fails = (number,)
        with at.client() as third:
            assert closed(first)
            assert stays(second, at)
            assert stays(third, at)


def test_without_a_free_descriptor_and_anybody_to_drop_a_client_waits(desk: Callable[..., Desk]) -> None:
    at = desk()
    at.listener.fails = (errno.EMFILE, errno.EMFILE)
    with at.client() as client:
        assert stays(client, at)


def test_a_client_that_is_gone_before_it_is_accepted_costs_nobody_a_place(desk: Callable[..., Desk]) -> None:
    at = desk()
    with at.client() as first:
        at.listener.fails = (errno.ECONNABORTED,)
        with at.client() as second:
            assert stays(first, at)
            assert stays(second, at)


def test_at_the_end_nobody_is_left_and_nobody_gets_in(desk: Callable[..., Desk]) -> None:
    at = desk()
    with at.client() as client:
        at.close()

        assert closed(client)
    with pytest.raises(ConnectionError):
        socket.create_connection(at.at, SOON)


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)], ids=["IPv4", "IPv6"]
)
def test_a_socket_is_bound_to_a_free_port_of_its_address(host: str, family: socket.AddressFamily) -> None:
    assert family_of(host) == family
    try:
        first = bound(host)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with first, bound(host) as second:
        assert {one.getsockname()[0] for one in (first, second)} == {host}
        assert first.getsockname()[1] != second.getsockname()[1]
