"""Program of a stranger: for each line `PORT COUNT MODE` on stdin, makes connections and says `done`.

MODE is `idle`, or `garbage`: send zeros for ever, and connect again when cut off.
"""

from __future__ import annotations

import socket
import sys
import threading


def idle(port: int, kept: list[socket.socket]) -> None:
    client = socket.socket()
    client.setblocking(False)  # a full backlog answers nothing
    client.connect_ex(("127.0.0.1", port))
    kept.append(client)


def garbage(port: int) -> None:
    while True:
        with socket.socket() as client:
            client.settimeout(0.05)
            try:
                client.connect(("127.0.0.1", port))
                while True:
                    client.sendall(bytes(4096))
            except OSError:
                pass


def main() -> None:
    kept: list[socket.socket] = []
    for line in sys.stdin:
        port, count, mode = line.split()
        for _ in range(int(count)):
            if mode == "idle":
                idle(int(port), kept)
            else:
                threading.Thread(target=garbage, args=(int(port),), daemon=True).start()
        print("done", flush=True)


if __name__ == "__main__":
    main()
