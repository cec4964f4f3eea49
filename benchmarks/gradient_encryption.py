"""Benchmark of encrypted gradients: averaging over loopback in plain TCP against TLS (AES-256-GCM), in turn.

    python benchmarks/gradient_encryption.py [--rounds 7] [--steps 20]

Two processes swap their gradients and add them, as two ranks do. Prints the ratio of the times for the
gradients of LeNet (1.7 MB) and for 60 MB, by quartiles. Needs `openssl` for a certificate.
"""

from __future__ import annotations

import argparse
import multiprocessing
import select
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

SIZES = {"LeNet, 1.7 MB": 431_080, "60 MB": 15_000_000}
"""Gradients of a step, as numbers of 4 bytes."""
CHUNK = 1 << 18


def main() -> None:
    """Run the rounds; both ways in each."""
    arguments = argparse.ArgumentParser(description="Cost of encrypting gradients")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--steps", type=int, default=20)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "both.pem"
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                ),
                *("-subj", "/CN=rank", "-days", "1", "-keyout", certificate, "-out", Path(folder) / "cert"),
            ],
            check=True,
            capture_output=True,
        )
        certificate.write_bytes(certificate.read_bytes() + (Path(folder) / "cert").read_bytes())
        for name, count in SIZES.items():
            steps = options.steps if count < 1_000_000 else max(2, options.steps // 10)
            ratios, plain = [], []
            for _ in range(options.rounds):
                times = {way: measure(count, steps, certificate if way else None) for way in (False, True)}
                ratios.append(times[True] / times[False])
                plain.append(times[False])
            low, middle, high = statistics.quantiles(ratios, n=4)
            ms = statistics.median(plain) * 1000
            print(f"{name}: {ms:.1f} ms a step, with TLS {middle:.2f} times as long ({low:.2f} … {high:.2f})")


def measure(count: int, steps: int, certificate: Path | None) -> float:
    """Return the seconds of one averaging between this process and another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = multiprocessing.Process(target=dial, args=(server.getsockname()[1], count, steps, certificate))
        peer.start()
        connection = server.accept()[0]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        connection = context.wrap_socket(connection, server_side=True)
    seconds = average(connection, count, steps)
    peer.join()
    return seconds


def dial(port: int, count: int, steps: int, certificate: Path | None) -> None:
    """Run the other rank."""
    connection = socket.create_connection(("127.0.0.1", port))
    if certificate:
        context = ssl.create_default_context(cafile=certificate)
        context.check_hostname = False
        connection = context.wrap_socket(connection)
    average(connection, count, steps)


def average(connection: socket.socket, count: int, steps: int) -> float:
    """Average a vector with the peer; return seconds a step, without the first."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mine, theirs = np.ones(count, np.float32), np.empty(count, np.float32)
    half = count // 2
    began = 0.0
    for step in range(steps + 1):
        if step == 1:
            began = time.perf_counter()
        # Reduce-scatter, then all-gather, as gloo's ring of two.
        for _ in range(2):
            swap(connection, mine[:half].data.cast("B"), theirs[:half].data.cast("B"))
        mine[:half] += theirs[:half]
        mine /= 2
    return (time.perf_counter() - began) / steps


def swap(connection: socket.socket, mine: memoryview, theirs: memoryview) -> None:
    """Send and receive at once, the same way for both: an SSLSocket is not for two threads."""
    connection.setblocking(False)
    while mine or theirs:
        moved = False
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if theirs:
                theirs = theirs[connection.recv_into(theirs, min(len(theirs), CHUNK)) :]
                moved = True
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if mine:
                mine = mine[connection.send(mine[:CHUNK]) :]
                moved = True
        if not moved:
            select.select([connection], [connection] if mine else [], [])
    connection.setblocking(True)


if __name__ == "__main__":
    main()
