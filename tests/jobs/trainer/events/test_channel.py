"""Events on their way from executors to the driver."""

from __future__ import annotations

import socket
import time

import pytest

from jobs.trainer import contract
from jobs.trainer.events import channel as module
from jobs.trainer.events.channel import Address, Channel, Sender
from tests.jobs.trainer.events.conftest import Inbox
from tests.threads import threads_run_out


def test_events_arrive_from_several_ranks(channel: Channel, inbox: Inbox) -> None:
    senders = [Sender(channel.address) for _ in range(3)]
    for rank, sender in enumerate(senders):
        for number in range(50):
            sender.send(contract.Validation(number, rank))
        sender.close()

    events = inbox.wait(150)

    for rank in range(3):
        assert [event.iteration for event in events if event.max_iter == rank] == list(range(50))


def test_a_stranger_without_the_token_is_not_heard(channel: Channel, inbox: Inbox) -> None:
    with socket.create_connection((channel.address.host, channel.address.port)) as stranger:
        stranger.sendall(b'guess\n{"event": "failed"}\n')
        assert stranger.recv(1) == b""

    assert inbox.events == []


def test_strangers_who_say_nothing_are_bounded_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPROVEN", 3)
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    inbox = Inbox()
    channel = Channel("127.0.0.1", inbox.add)
    place = (channel.address.host, channel.address.port)
    try:
        strangers = [socket.create_connection(place) for _ in range(3)]
        with socket.create_connection(place) as one_more:
            assert one_more.recv(1) == b"", "closed at once"
        for stranger in strangers:
            assert stranger.recv(1) == b"", "closed after PATIENCE"
            stranger.close()
        sender = Sender(channel.address)
        sender.send(contract.Progress(1, 2))
        assert len(inbox.wait(1)) == 1
        sender.close()
    finally:
        channel.close()


def test_a_stranger_who_says_little_at_a_time_is_dropped_like_one_who_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    channel = Channel("127.0.0.1", Inbox().add)
    try:
        with socket.create_connection((channel.address.host, channel.address.port), 0.05) as stranger:
            for _ in range(module.PROOF - 1):
                try:
                    stranger.sendall(b"x")
                    said = stranger.recv(1)
                except TimeoutError:
                    continue
                except ConnectionError:
                    said = b""
                assert said == b""
                break
            else:
                pytest.fail("it kept its place as long as it liked")
    finally:
        channel.close()


def test_a_connection_without_a_thread_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPROVEN", 2)
    inbox = Inbox()
    channel = Channel("127.0.0.1", inbox.add)
    try:
        with threads_run_out(monkeypatch):
            for _ in range(3):
                with socket.create_connection((channel.address.host, channel.address.port), 5) as refused:
                    assert refused.recv(1) == b""
        sender = Sender(channel.address)
        sender.send(contract.Progress(1, 2))
        assert len(inbox.wait(1)) == 1
        sender.close()
    finally:
        channel.close()


def test_a_rank_may_be_silent_for_longer_than_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    inbox = Inbox()
    channel = Channel("127.0.0.1", inbox.add)
    try:
        sender = Sender(channel.address)
        sender.send(contract.Progress(1, 2))
        inbox.wait(1)
        time.sleep(0.3)
        sender.send(contract.Progress(2, 2))
        assert len(inbox.wait(2)) == 2
        sender.close()
    finally:
        channel.close()


def test_a_driver_that_is_gone_does_not_stop_a_rank() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sender = Sender(Address("127.0.0.1", port, "t"))

    sender.send(contract.Progress(1, 2))
    sender.close()
