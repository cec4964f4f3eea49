"""Ranks that connect while others, on the same machine, try to connect in their places."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.guests import bound
from jobs.trainer.ranks import connect as connecting
from jobs.trainer.ranks.connect import Unproven, connect, prove
from jobs.trainer.ranks.group import Exchange, PeerLost, Peers
from jobs.trainer.ranks.proof import CLAIM, NONCE, Claim, Endpoint, Prover, new_token

TIMEOUT_S = 20.0
HOST = "127.0.0.1"
Connections = list[socket.socket | None]


class Meeting:
    """An all-gather of threads; `meanwhile` is called once: every rank listens and none has connected."""

    def __init__(self, size: int, meanwhile: Callable[[list[Endpoint]], None]) -> None:
        self.cards: dict[int, bytes] = {}
        self._full = threading.Barrier(size, lambda: meanwhile(self.doors()))

    def doors(self) -> list[Endpoint]:
        return [(host, port) for host, port in (json.loads(card)["door"] for card in self.cards.values())]

    def of(self, rank: int) -> Callable[[bytes], list[bytes]]:
        def all_gather(mine: bytes) -> list[bytes]:
            self.cards[rank] = mine
            self._full.wait(TIMEOUT_S)
            return [card for _, card in sorted(self.cards.items())]

        return all_gather


def meet(
    size: int,
    *,
    tokens: list[bytes] | None = None,
    meanwhile: Callable[[list[Endpoint]], None] = lambda doors: None,
    limit: float = TIMEOUT_S,
    host: str = HOST,
) -> list[Connections]:
    """Connect ranks 0, 1, … to each other."""
    token, meeting = new_token(), Meeting(size, meanwhile)
    with ThreadPoolExecutor(size) as pool:
        ranks = [
            pool.submit(connect, rank, host, tokens[rank] if tokens else token, meeting.of(rank), limit)
            for rank in range(size)
        ]
        return [rank.result() for rank in ranks]


def close(ranks: list[Connections]) -> None:
    for connection in (each for rank in ranks for each in rank if each):
        connection.close()


def speak(ranks: list[Connections]) -> None:
    """Require that each connection leads to the rank in whose place it is."""
    for rank, connections in enumerate(ranks):
        for each in connections:
            if each:
                each.setblocking(True)
                each.sendall(bytes([rank]))
    for rank, connections in enumerate(ranks):
        heard = [each.recv(2)[0] if each else rank for each in connections]
        assert heard == list(range(len(ranks)))
    close(ranks)


Strangers = Callable[..., None]


@pytest.fixture
def strangers() -> Iterator[Strangers]:
    """Connects to a port from another process, that many times."""
    program, lock = Path(__file__).with_name("stranger.py"), threading.Lock()
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def strange(port: int, count: int = 1, mode: str = "idle") -> None:
            assert process.stdin
            assert process.stdout
            with lock:
                process.stdin.write(f"{port} {count} {mode}\n")
                process.stdin.flush()
                assert process.stdout.readline() == "done\n"

        yield strange
        process.kill()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_rank_is_connected_to_every_other(size: int) -> None:
    speak(meet(size))


def test_ranks_connect_over_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    speak(meet(3, host="::1"))


def test_a_rank_with_another_token_does_not_get_in() -> None:
    with pytest.raises(Unproven, match=r"rank \d"):
        meet(2, tokens=[new_token(), new_token()], limit=1)


def test_a_token_that_is_not_one_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        connect(0, HOST, b"", lambda mine: pytest.fail("asked"), 1)


def test_a_rank_that_does_not_come_is_named() -> None:
    def all_gather(mine: bytes) -> list[bytes]:
        absent = json.dumps({"rank": 1, "door": (HOST, 1), "nonce": ""}).encode()
        return [mine, absent]

    with pytest.raises(Unproven, match="no connection of rank 1 was proven"):
        connect(0, HOST, new_token(), all_gather, 0.2)


def test_a_rank_that_is_not_there_is_named_with_its_address() -> None:
    def all_gather(mine: bytes) -> list[bytes]:
        return [json.dumps({"rank": 0, "door": (HOST, 1), "nonce": ""}).encode(), mine]

    with pytest.raises(Unproven, match=r"rank 0 at 127\.0\.0\.1:1: .*refused"):
        connect(1, HOST, new_token(), all_gather, 0.2)


@pytest.mark.parametrize(("count", "mode"), [(300, "idle"), (3, "garbage")])
def test_clients_that_say_nothing_or_garbage_take_no_place(
    strangers: Strangers, count: int, mode: str
) -> None:
    def attack(doors: list[Endpoint]) -> None:
        for _, port in doors:
            strangers(port, count, mode)

    speak(meet(3, meanwhile=attack))


def test_a_rank_that_has_missed_its_confirmation_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, again = [], threading.Event()

    def once_lost(connection: socket.socket, rank: int, *args: Any) -> socket.socket:
        if rank == 2:
            assert again.wait(TIMEOUT_S)  # so that rank 0 is still there when rank 1 comes again
            return prove(connection, rank, *args)
        prove(connection, rank, *args)
        tried.append(rank)
        if len(tried) == 1:
            raise OSError("timed out")
        again.set()
        return connection

    monkeypatch.setattr(connecting, "prove", once_lost)
    speak(meet(3))
    assert tried == [1, 1]


def test_a_rank_that_comes_again_too_late_takes_no_connection_that_is_in_use() -> None:
    listener, prover = bound(HOST), Prover(TOKEN, GENERATION)
    listener.listen()
    door = connecting._Door(0, 2, listener, prover)
    with dial(listener.getsockname()) as first, dial(listener.getsockname()) as again:
        prove(first, 1, 0, prover)
        (taken,) = door.wait(time.monotonic() + TIMEOUT_S).values()
        with pytest.raises(OSError, match=r"closed|reset"):
            prove(again, 1, 0, prover)
        door.close(keep=True)
        taken.send(b"used")
        assert first.recv(4) == b"used"
        taken.close()


def test_ranks_listen_on_the_address_of_the_peers_and_no_longer_than_they_connect() -> None:
    doors: list[Endpoint] = []
    close(meet(3, meanwhile=doors.extend))
    assert {host for host, _ in doors} == {HOST}
    for door in doors:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(door, 5)


def test_the_token_crosses_no_connection_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    token, sent = new_token(), []
    claim = Prover.claim

    def spied(self: Prover, *args: Any) -> bytes:
        sent.append(claim(self, *args))
        return sent[-1]

    monkeypatch.setattr(Prover, "claim", spied)
    meeting = Meeting(2, lambda doors: None)
    with ThreadPoolExecutor(2) as pool:
        close(list(pool.map(lambda rank: connect(rank, HOST, token, meeting.of(rank), 5), range(2))))
    assert len(sent) == 1
    assert token not in sent[0]
    assert token.hex() not in "".join(card.decode() for card in meeting.cards.values())


def test_peers_that_do_not_connect_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe_allreduce", object())
    with pytest.raises(PeerLost, match="rank 1: rank 0 at"):
        Peers(HOST, Exchange(1, 2, lambda mine: [_card(), mine]), new_token(), 0.2)


def _card() -> str:
    return base64.b64encode(json.dumps({"door": (HOST, 1), "nonce": ""}).encode()).decode()


# ---- the proof

TOKEN, GENERATION = bytes(range(32)), b"one"
CLAIM_OF_1 = Claim(1, 0, (HOST, 4001), (HOST, 4000))


@pytest.fixture
def door() -> Iterator[Callable[[bytes, bytes], Endpoint]]:
    """Opens the door of rank 0 of two, of which rank 1 never comes."""
    stop, threads = threading.Event(), []

    def open_door(token: bytes, nonce: bytes) -> Endpoint:
        opened: list[Endpoint] = []
        ready = threading.Event()

        def all_gather(mine: bytes) -> list[bytes]:
            card = json.loads(mine)
            opened.append((HOST, card["door"][1]))
            ready.set()
            return [json.dumps({**card, "nonce": nonce.hex()}).encode(), json.dumps({"nonce": ""}).encode()]

        def run() -> None:
            with suppress(Unproven):
                connections = connect(0, HOST, token, all_gather, TIMEOUT_S)
                stop.wait(TIMEOUT_S)
                close([connections])

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        assert ready.wait(TIMEOUT_S)
        return opened[0]

    yield open_door
    stop.set()


def dial(door: Endpoint) -> socket.socket:
    return socket.create_connection(door, 5)


Door = Callable[[bytes, bytes], Endpoint]


def test_an_answer_that_is_replayed_proves_nothing(door: Door) -> None:
    at = door(TOKEN, GENERATION)
    prover = Prover(TOKEN, GENERATION.hex().encode())
    with dial(at) as client:
        client.recv(NONCE)
        ends = (client.getsockname(), client.getpeername())
        answer = prover.claim(Claim(1, 0, *ends), bytes(NONCE), bytes(NONCE))
        client.sendall(answer)
        assert client.recv(100) == b""


def test_a_proof_of_another_connection_proves_nothing(door: Door) -> None:
    at = door(TOKEN, GENERATION)
    prover = Prover(TOKEN, GENERATION.hex().encode())
    with dial(at) as client:
        client.sendall(prover.claim(CLAIM_OF_1, client.recv(NONCE), bytes(NONCE)))
        assert client.recv(100) == b""


@pytest.mark.parametrize("by", [0, 2])
def test_a_rank_that_does_not_connect_here_is_not_let_in(door: Door, by: int) -> None:
    at = door(TOKEN, GENERATION)
    prover = Prover(TOKEN, GENERATION.hex().encode())
    with dial(at) as client:
        claim = Claim(by, 0, client.getsockname(), client.getpeername())
        client.sendall(prover.claim(claim, client.recv(NONCE), bytes(NONCE)))
        assert client.recv(100) == b""


@pytest.mark.parametrize(
    ("token", "generation"), [(new_token(), GENERATION), (TOKEN, b"two")], ids=["token", "generation"]
)
def test_another_token_or_generation_proves_nothing(door: Door, token: bytes, generation: bytes) -> None:
    at = door(TOKEN, GENERATION)
    with dial(at) as client, pytest.raises(OSError, match="closed"):
        prove(client, 1, 0, Prover(token, generation.hex().encode()))


def test_a_door_that_does_not_know_the_token_is_not_believed() -> None:
    with socket.create_server((HOST, 0)) as other:

        def serve() -> None:
            with other.accept()[0] as client:
                client.sendall(bytes(NONCE))
                client.recv(CLAIM)
                client.sendall(bytes(32))

        threading.Thread(target=serve, daemon=True).start()
        with dial(other.getsockname()) as client, pytest.raises(OSError, match="does not prove itself"):
            prove(client, 1, 0, Prover(TOKEN, GENERATION))


def test_a_door_that_speaks_byte_by_byte_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PATIENCE", 0.2)
    stop = threading.Event()
    with socket.create_server((HOST, 0)) as other:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client = other.accept()[0]
                    while not stop.wait(0.1):
                        client.send(b"x")

        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        card = json.dumps({"door": other.getsockname(), "nonce": ""}).encode()
        with pytest.raises(Unproven, match="rank 0 at"):
            connect(1, HOST, TOKEN, lambda mine: [card, mine], 0.3)
        assert time.monotonic() - began < 2
        stop.set()


def test_a_thousand_idle_clients_do_not_keep_a_peer_out(door: Door, strangers: Strangers) -> None:
    at = door(TOKEN, GENERATION)
    strangers(at[1], 1000)
    prover = Prover(TOKEN, GENERATION.hex().encode())
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with dial(at) as client:
                prove(client, 1, 0, prover)
                return
        except OSError:
            assert time.monotonic() < deadline


def test_a_rank_that_fails_does_not_wait_for_its_door(door: Door) -> None:
    door(TOKEN, GENERATION)
    serving = [thread for thread in threading.enumerate() if thread.name == "connections of ranks"]

    assert serving
    assert all(thread.daemon for thread in serving)


def test_garbage_is_cut_off_at_the_length_of_a_claim(door: Door) -> None:
    with dial(door(TOKEN, GENERATION)) as client, pytest.raises(OSError, match=r"reset|Broken"):
        for _ in range(1000):
            client.sendall(os.urandom(4096))


def test_silence_is_cut_off(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PATIENCE", 0.1)
    with dial(door(TOKEN, GENERATION)) as client:
        assert len(client.recv(NONCE)) == NONCE
        assert client.recv(1) == b""


def test_the_kernel_gives_up_a_host_that_is_gone_within_seconds() -> None:
    first, second = meet(2)
    for connection in (first[1], second[0]):
        assert connection is not None
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        probes = connecting.ALIVE
        for option, value in probes.items():
            assert connection.getsockopt(socket.IPPROTO_TCP, option) == value
        silence = probes[socket.TCP_KEEPIDLE] + probes[socket.TCP_KEEPINTVL] * probes[socket.TCP_KEEPCNT]
        assert silence * 1000 == probes[socket.TCP_USER_TIMEOUT]
        connection.close()
