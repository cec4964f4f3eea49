"""Events on their way from executors to the driver."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, closing, suppress

import pytest

from jobs.trainer import contract
from jobs.trainer.events import channel as module
from jobs.trainer.events.channel import Address, Channel, Sender
from tests.jobs.trainer.events.conftest import Inbox
from tests.threads import threads_run_out


def connected(channel: Channel) -> socket.socket:
    """Connect as a stranger."""
    return socket.create_connection((channel.address.host, channel.address.port), timeout=10)


def test_events_arrive_from_several_ranks(channel: Channel, inbox: Inbox) -> None:
    senders = [Sender(channel.address) for _ in range(3)]
    for rank, sender in enumerate(senders):
        for number in range(50):
            sender.send(contract.Validation(number, rank))
        sender.close()

    events = inbox.wait(150)

    for rank in range(3):
        assert [event.iteration for event in events if event.max_iter == rank] == list(range(50))


def heard(sender: Sender, count: int) -> list[str]:
    """Return the driver's words to a rank as soon as there are some."""
    found = list[str]()
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += sender.heard()
    return found


def test_the_drivers_words_reach_every_rank_once(channel: Channel, inbox: Inbox) -> None:
    senders = [Sender(channel.address) for _ in range(2)]
    for rank, sender in enumerate(senders):
        sender.send(contract.RankStarted(rank, "w1"))
    inbox.wait(2)

    channel.tell("leave")
    channel.tell("regroup")

    for sender in senders:
        assert heard(sender, 2) == ["leave", "regroup"]
        assert sender.heard() == []
        sender.close()


def test_a_rank_that_hears_nothing_does_not_wait(channel: Channel) -> None:
    with closing(Sender(channel.address)) as sender:
        assert sender.heard() == []


def test_a_rank_whose_driver_is_gone_hears_nothing() -> None:
    with closing(Channel("127.0.0.1", Inbox().add)) as channel:
        sender = Sender(channel.address)
        sender.close()

    assert sender.heard() == []


def test_words_to_a_rank_that_is_gone_are_lost(channel: Channel, inbox: Inbox) -> None:
    gone, there = Sender(channel.address), Sender(channel.address)
    there.send(contract.RankStarted(1, "w2"))
    inbox.wait(1)
    gone.close()

    channel.tell("leave")

    assert heard(there, 1) == ["leave"]
    there.close()


def test_a_stranger_without_the_token_is_not_heard(channel: Channel, inbox: Inbox) -> None:
    with connected(channel) as stranger:
        stranger.sendall(b"guess" * 10 + b'\n{"event": "failed"}\n')
        # Closed with bytes unread, which its system may report as a reset.
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""

    assert inbox.events == []


def test_strangers_who_say_nothing_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    with closing(Channel("127.0.0.1", Inbox().add)) as channel, connected(channel) as stranger:
        assert stranger.recv(1) == b""


def test_a_stranger_who_says_a_little_now_and_then_gains_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    with closing(Channel("127.0.0.1", Inbox().add)) as channel, connected(channel) as stranger:
        stranger.settimeout(0.2)
        for _ in range(25):
            try:
                stranger.sendall(b"a")
                assert stranger.recv(1) == b""
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("a byte each 0.2 s keeps a connection of 0.5 s")


def test_strangers_who_hold_every_place_keep_no_rank_out(
    channel: Channel, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNPROVEN", 3)
    with ExitStack() as stack:
        strangers = [stack.enter_context(connected(channel)) for _ in range(3)]

        sender = Sender(channel.address)
        sender.send(contract.Progress(1, 2))

        assert len(inbox.wait(1)) == 1
        assert strangers[0].recv(1) == b"", "the oldest made room"
        sender.close()


def test_a_rank_that_is_cut_before_it_is_accepted_tries_again(inbox: Inbox) -> None:
    channel = Channel("127.0.0.1", inbox.add)
    driver = (channel.address.host, channel.address.port)
    with closing(channel), socket.create_server(("127.0.0.1", 0)) as server:

        def cut_twice() -> None:
            for _ in range(2):
                server.accept()[0].close()
            rank, _ = server.accept()
            with rank, socket.create_connection(driver) as to_driver:
                to_driver.sendall(rank.recv(100))
                rank.sendall(to_driver.recv(1))
                to_driver.sendall(rank.recv(1000))

        between = threading.Thread(target=cut_twice, daemon=True)
        between.start()
        sender = Sender(channel.address._replace(port=server.getsockname()[1]))
        sender.send(contract.Progress(1, 2))

        assert len(inbox.wait(1)) == 1
        sender.close()
        between.join(10)


def test_a_rank_that_is_never_accepted_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = Sender(Address("127.0.0.1", silent.getsockname()[1], "t"))
        sender.send(contract.Progress(1, 2))
        sender.close()


def test_a_connection_without_a_thread_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPROVEN", 2)
    inbox = Inbox()
    channel = Channel("127.0.0.1", inbox.add)
    try:
        with threads_run_out(monkeypatch):
            for _ in range(3):
                with connected(channel) as refused:
                    refused.sendall(channel.address.token.encode() + b"\n")
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


def test_what_ranks_sent_before_they_ended_is_there_when_the_channel_is_drained() -> None:
    heard, gate = list[contract.Event](), threading.Event()

    def slow(event: contract.Event) -> None:
        gate.wait(10)
        heard.append(event)

    with closing(Channel("127.0.0.1", slow)) as channel:
        assert channel.drain(0)
        sender = Sender(channel.address)
        for number in range(50):
            sender.send(contract.Validation(number))
        sender.close()

        assert not channel.drain(0.01), "an event is held up"
        gate.set()
        assert channel.drain(10)
        assert len(heard) == 50


def test_a_driver_that_is_gone_does_not_stop_a_rank() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sender = Sender(Address("127.0.0.1", port, "t"))

    sender.send(contract.Progress(1, 2))
    sender.close()


@pytest.mark.parametrize("host", ["10.9.8.10", "fd00::10"])
def test_an_address_is_read_from_its_text(host: str) -> None:
    address = Address(host, 4000, "token")

    assert Address.parse(address.text) == address


def test_those_who_know_an_old_token_are_not_heard_any_more(channel: Channel, inbox: Inbox) -> None:
    before, late = Sender(channel.address), channel.address
    before.send(contract.Progress(1, 2))
    inbox.wait(1)

    channel.renew()
    before.send(contract.Progress(7, 9))
    Sender(late).send(contract.Progress(8, 9))
    after = Sender(channel.address)
    after.send(contract.Progress(2, 2))

    assert [event.iteration for event in inbox.wait(2)] == [1, 2]
    assert channel.address.token != late.token
    after.close()
    assert channel.drain(5)
    assert [event.iteration for event in inbox.events] == [1, 2]


def test_an_event_that_has_arrived_and_is_not_passed_on_is_none_after_a_new_token() -> None:
    heard, gate, reached = list[contract.Event](), threading.Event(), threading.Event()

    def slow(event: contract.Event) -> None:
        reached.set()
        gate.wait(10)
        heard.append(event)

    with closing(Channel("127.0.0.1", slow)) as channel:
        sender = Sender(channel.address)
        for number in range(50):
            sender.send(contract.Validation(number))
        assert reached.wait(10)
        renewing = threading.Thread(target=channel.renew)
        renewing.start()
        gate.set()
        renewing.join(10)
        count = len(heard)
        Sender(channel.address).send(contract.Validation(99))
        while heard[-1] != contract.Validation(99):
            pass

    assert len(heard) == count + 1
    sender.close()
