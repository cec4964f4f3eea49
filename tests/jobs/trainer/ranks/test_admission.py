"""Ranks that connect while others, on the same machine, try to connect in their places."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.trainer.ranks import doorkeeper, sockets
from jobs.trainer.ranks.doorkeeper import Doorkeeper, prove
from jobs.trainer.ranks.group import Exchange, PeerLost, Peers
from jobs.trainer.ranks.proof import CLAIM, NONCE, Claim, Endpoint, Prover, new_token
from tests.jobs.trainer.ranks import mesh

TIMEOUT_S = 20.0
HOST = "127.0.0.1"


class Spark:
    """The barrier's all-gather; `meanwhile` is called once: every rank listens and none has connected."""

    def __init__(self, size: int, meanwhile: Callable[[], None]) -> None:
        self.texts: dict[int, str] = {}
        self._full, self._read = threading.Barrier(size, meanwhile), threading.Barrier(size)

    def of(self, rank: int) -> Callable[[str], list[str]]:
        def all_gather(text: str) -> list[str]:
            self.texts[rank] = text
            self._full.wait(TIMEOUT_S)
            found = [text for _, text in sorted(self.texts.items())]
            self._read.wait(TIMEOUT_S)
            return found

        return all_gather


def means(
    size: int,
    *,
    tokens: list[bytes] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    limit: float = 20,
) -> list[float]:
    """Connect ranks 0, 1, … and return, of each, the mean over all of their own numbers."""
    token, spark = new_token(), Spark(size, meanwhile)

    def run(rank: int) -> float:
        exchange = Exchange(rank, size, spark.of(rank))
        peers = Peers(HOST, exchange, tokens[rank] if tokens else token, limit)
        try:
            return float(peers.allreduce_mean(np.full(1000, float(rank)))[0])
        finally:
            peers.close()

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


@pytest.fixture(autouse=True)
def _gloo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe_allreduce", mesh)


def listening() -> list[int]:
    return [row.local[1] for row in sockets.table(HOST) if row.fd is not None and row.state == sockets.LISTEN]


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

        def connect(port: int, count: int = 1, mode: str = "idle") -> None:
            assert process.stdin
            assert process.stdout
            with lock:
                process.stdin.write(f"{port} {count} {mode}\n")
                process.stdin.flush()
                assert process.stdout.readline() == "done\n"

        yield connect
        process.kill()


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_with_the_same_token_average(size: int) -> None:
    assert means(size) == [(size - 1) / 2] * size


def test_a_rank_with_another_token_does_not_get_in() -> None:
    with pytest.raises(PeerLost):
        means(2, tokens=[new_token(), new_token()], limit=1)


def test_a_token_that_is_not_one_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        means(2, tokens=[b"", b""])


@pytest.mark.parametrize(("count", "mode"), [(300, "idle"), (3, "garbage")])
def test_clients_that_say_nothing_or_garbage_take_no_place(
    strangers: Strangers, count: int, mode: str
) -> None:
    def attack() -> None:
        for port in listening():
            strangers(port, count, mode)

    assert means(3, meanwhile=attack) == [1.0] * 3


def test_a_connection_from_before_the_filter_gets_no_place(
    monkeypatch: pytest.MonkeyPatch, strangers: Strangers
) -> None:
    seen: list[int] = []

    def early(port: int) -> None:
        seen.append(port)
        if len(seen) <= 5:
            strangers(port)

    monkeypatch.setattr(mesh.Group, "on_listen", staticmethod(early))
    assert means(2) == [0.5, 0.5]
    assert len(seen) > 2, "the intruded groups were made anew"


def test_sockets_listen_on_the_address_of_the_peers_alone() -> None:
    found: list[str] = []

    def own() -> set[Endpoint]:
        rows = [row for host in (HOST, "::1") for row in sockets.table(host)]
        return {row.local for row in rows if row.fd is not None and row.state == sockets.LISTEN}

    before = own()
    means(2, meanwhile=lambda: found.extend(host for host, _ in own() - before))
    assert len(found) == 4
    assert set(found) == {HOST}


def test_the_token_crosses_no_connection_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    token, sent = new_token(), []
    send = Prover.claim

    def claim(self: Prover, *args: Any) -> bytes:
        sent.append(send(self, *args))
        return sent[-1]

    monkeypatch.setattr(Prover, "claim", claim)
    spark_saw: list[str] = []
    gather = Spark.of

    def of(self: Spark, rank: int) -> Callable[[str], list[str]]:
        ask = gather(self, rank)
        return lambda text: spark_saw.append(text) or ask(text)  # type: ignore[func-returns-value]

    monkeypatch.setattr(Spark, "of", of)
    means(2, tokens=[token, token])
    assert len(sent) == 1
    assert token not in sent[0]
    assert token.hex() not in "".join(spark_saw)


@pytest.fixture
def _no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that lets only root set filters."""
    monkeypatch.setattr(sockets, "_SO_ATTACH_FILTER", 0xFFFF)


@pytest.mark.usefixtures("_no_filter")
def test_ranks_connect_where_the_kernel_takes_no_filter() -> None:
    assert means(3) == [1.0] * 3


@pytest.mark.usefixtures("_no_filter")
def test_without_a_filter_nothing_is_averaged_with_a_stranger(strangers: Strangers) -> None:
    averaged: list[int] = []
    ports: list[int] = []

    def average(group: mesh.Group, _: np.ndarray) -> np.ndarray:
        averaged.extend(group.remote_ports.values())
        return np.zeros(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mesh.Group, "on_listen", staticmethod(ports.append))
        patch.setattr(mesh.Group, "allreduce_mean", average)
        with pytest.raises(PeerLost):
            means(2, meanwhile=lambda: [strangers(port) for port in ports] and None, limit=1)
    assert set(averaged) <= set(ports), "a rank's own port; a stranger has another"


# ---- the door


@pytest.fixture
def door() -> Iterator[Doorkeeper]:
    door = Doorkeeper(HOST)
    yield door
    door.close()


TOKEN, GENERATION = bytes(range(32)), b"one"
CLAIM_OF_1 = Claim(1, 0, (HOST, 4001), (HOST, 4000))


def test_an_answer_that_is_replayed_proves_nothing(door: Doorkeeper) -> None:
    prover, admitted = Prover(TOKEN, GENERATION), []
    door.start(prover, {HOST}, lambda claim: admitted.append(claim) is None)
    prove(door.endpoint, HOST, prover, CLAIM_OF_1, 5)
    with socket.create_connection(door.endpoint, 5) as client:
        answer = prover.claim(CLAIM_OF_1, client.recv(NONCE), bytes(NONCE))
        client.sendall(answer)
        assert len(client.recv(100)) == 32
    with socket.create_connection(door.endpoint, 5) as client:
        client.recv(NONCE)
        client.sendall(answer)
        assert client.recv(100) == b""
    assert admitted == [CLAIM_OF_1] * 2


@pytest.mark.parametrize(
    ("token", "generation"), [(new_token(), GENERATION), (TOKEN, b"two")], ids=["token", "generation"]
)
def test_another_token_or_generation_proves_nothing(
    door: Doorkeeper, token: bytes, generation: bytes
) -> None:
    door.start(Prover(TOKEN, GENERATION), {HOST}, lambda claim: pytest.fail("admitted"))
    with pytest.raises(OSError, match="closed"):
        prove(door.endpoint, HOST, Prover(token, generation), CLAIM_OF_1, 5)


def test_a_claim_that_was_changed_on_the_way_proves_nothing() -> None:
    prover = Prover(TOKEN, GENERATION)
    answer = bytearray(prover.claim(CLAIM_OF_1, bytes(NONCE), bytes(NONCE)))
    assert prover.check(bytes(answer), bytes(NONCE)) == CLAIM_OF_1
    for at in range(CLAIM):
        changed = bytearray(answer)
        changed[at] ^= 1
        with pytest.raises(ValueError, match="not a proof"):
            prover.check(bytes(changed), bytes(NONCE))


def test_a_door_that_does_not_know_the_token_is_not_believed(door: Doorkeeper) -> None:
    with socket.create_server((HOST, 0)) as other:

        def serve() -> None:
            with other.accept()[0] as client:
                client.sendall(bytes(NONCE))
                client.recv(CLAIM)
                client.sendall(bytes(32))

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(OSError, match="does not prove itself"):
            prove(other.getsockname(), HOST, Prover(TOKEN, GENERATION), CLAIM_OF_1, 5)


def test_a_thousand_idle_clients_do_not_keep_a_peer_out(door: Doorkeeper, strangers: Strangers) -> None:
    prover = Prover(TOKEN, GENERATION)
    door.start(prover, {HOST}, lambda claim: True)
    strangers(door.endpoint[1], 1000)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            prove(door.endpoint, HOST, prover, CLAIM_OF_1, 2)
            break
        except OSError:
            assert time.monotonic() < deadline

    def accepted() -> int:
        rows = [row for row in sockets.table(HOST) if row.fd is not None and row.local == door.endpoint]
        return sum(row.state == sockets.ESTABLISHED for row in rows)

    # A reading takes a while, in which some are dropped and others accepted.
    while accepted() > doorkeeper.UNPROVEN:
        assert time.monotonic() < deadline


def test_garbage_is_cut_off_at_the_length_of_a_claim(door: Doorkeeper) -> None:
    door.start(Prover(TOKEN, GENERATION), {HOST}, lambda claim: pytest.fail("admitted"))
    with socket.create_connection(door.endpoint, 5) as client, pytest.raises(OSError, match=r"reset|Broken"):
        for _ in range(1000):
            client.sendall(os.urandom(4096))


def test_silence_is_cut_off(door: Doorkeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "PATIENCE", 0.1)
    door.start(Prover(TOKEN, GENERATION), {HOST}, lambda claim: True)
    with socket.create_connection(door.endpoint, 5) as client:
        assert len(client.recv(NONCE)) == NONCE
        assert client.recv(1) == b""


# ---- the filter


def connects(listener: socket.socket, limit: float = 0.3) -> bool:
    with socket.socket() as client:
        client.settimeout(limit)
        try:
            client.connect(listener.getsockname())
        except OSError:
            return False
        listener.settimeout(limit)
        try:
            listener.accept()[0].close()
        except OSError:
            return False
        return True


@pytest.mark.parametrize(
    ("admitted", "connected"),
    [
        ({}, False),
        ({"hosts": [HOST]}, True),
        ({"hosts": ["127.0.0.2"]}, False),
        ({"greeting": [HOST]}, False),
    ],
)
def test_the_kernel_drops_what_is_not_admitted(admitted: dict[str, Any], connected: bool) -> None:
    with socket.create_server((HOST, 0)) as listener:
        sockets.admit(listener, **admitted)
        assert connects(listener) is connected


def test_a_filter_on_ipv6_compares_the_whole_address() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        for hosts, connected in ((["::1"], True), (["::2"], False), (["1::1"], False)):
            sockets.admit(listener, hosts=hosts)
            with socket.socket(socket.AF_INET6) as client:
                client.settimeout(0.3)
                assert (client.connect_ex(listener.getsockname()) == 0) is connected
