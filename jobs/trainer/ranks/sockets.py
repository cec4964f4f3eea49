"""Sockets of this process, and the kernel's filters of what reaches them: SO_ATTACH_FILTER of socket(7).

Packets that a filter of a listening socket refuses are dropped before they become a connection: whoever sent
them gets no answer and takes no memory, and the process is not woken.
"""

from __future__ import annotations

import ctypes
import functools
import os
import socket
import struct
from pathlib import Path
from typing import Collection, Dict, Iterator, List, NamedTuple, Optional

from jobs.trainer.guests import family_of
from jobs.trainer.ranks.proof import Endpoint

ESTABLISHED, SYN_SENT, TIME_WAIT, LISTEN = 1, 2, 6, 10
"""States of include/net/tcp_states.h."""

_TABLES = {socket.AF_INET: "/proc/self/net/tcp", socket.AF_INET6: "/proc/self/net/tcp6"}
_SO_ATTACH_FILTER = 26
# Classic BPF. Offsets of loads count from the TCP header, or with _IP added from the IP header.
_WORD, _HALF, _BYTE, _AND, _EQUAL, _RETURN = 0x20, 0x28, 0x30, 0x54, 0x15, 0x06
_IP = 0xFFF00000
_FLAGS, _FIN_SYN_RST_ACK, _SYN = 13, 0x17, 0x02
_ALL = 0xFFFFFFFF


class Connection(NamedTuple):
    """A row of the kernel's table of TCP sockets; `fd` is None unless the socket is this process's."""

    fd: Optional[int]
    local: Endpoint
    remote: Endpoint
    state: int


def table(host: str) -> List[Connection]:
    """Return the TCP sockets of this network namespace that are of an address's family.

    Those in TIME_WAIT are left out: no process has them any more, a busy machine has thousands, and the ports
    that they name may be in use again.
    """
    family = family_of(host)
    own = _own()
    found = []
    for row in Path(_TABLES[family]).read_text().splitlines()[1:]:
        cells = row.split(None, 10)
        if int(cells[3], 16) == TIME_WAIT:
            continue
        local, remote = (_endpoint(cell, family) for cell in cells[1:3])
        found.append(Connection(own.get(cells[9]), local, remote, int(cells[3], 16)))
    return found


def admit(
    listener: socket.socket,
    endpoints: Collection[Endpoint] = (),
    greeting: Collection[str] = (),
    hosts: Collection[str] = (),
) -> bool:
    """Drop all packets that reach a socket, and those that it accepts from now on, but for those admitted.

    Admitted are all packets of `endpoints` and of `hosts`. Of the addresses in `greeting` it is the first
    packet of a connection only: the connection waits, answered but not accepted, to be admitted.
    Return whether the kernel does so: some let only root set a filter.
    """
    program: List[bytes] = []
    for host, port in endpoints:
        program += [*_unless_from(host, 3), _step(_HALF, 0), _step(_EQUAL, port, 0, 1), _step(_RETURN, _ALL)]
    for host in hosts:
        program += [*_unless_from(host, 1), _step(_RETURN, _ALL)]
    for host in greeting:
        program += _unless_from(host, 4)
        program += [_step(_BYTE, _FLAGS), _step(_AND, _FIN_SYN_RST_ACK), _step(_EQUAL, _SYN, 0, 1)]
        program.append(_step(_RETURN, _ALL))
    program.append(_step(_RETURN, 0))
    code = ctypes.create_string_buffer(b"".join(program))
    option = struct.pack("HP", len(program), ctypes.addressof(code))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
    except OSError:
        return False
    return True


def _own() -> Dict[str, int]:
    """Return this process's sockets: descriptors by inode."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue  # closed by another thread
        if target.startswith("socket:["):
            found[target[8:-1]] = int(link.name)
    return found


@functools.lru_cache(maxsize=4096)  # scans see the same ones again
def _endpoint(cell: str, family: int) -> Endpoint:
    """Read `0100007F:1F90`: words of an address in the machine's byte order, and a port."""
    address, port = cell.split(":")
    words = [bytes.fromhex(address[at : at + 8]) for at in range(0, len(address), 8)]
    raw = b"".join(struct.pack("=I", int.from_bytes(word, "big")) for word in words)
    return socket.inet_ntop(family, raw), int(port, 16)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _unless_from(host: str, skipped: int) -> Iterator[bytes]:
    """Skip that many steps of the program unless the packet comes from an address."""
    family = family_of(host)
    offset = 8 if family == socket.AF_INET6 else 12
    raw = socket.inet_pton(family, host)
    words = struct.unpack(">{}I".format(len(raw) // 4), raw)
    for index, word in enumerate(words):
        yield _step(_WORD, _IP + offset + 4 * index)
        yield _step(_EQUAL, word, 0, skipped + 2 * (len(words) - index - 1))
