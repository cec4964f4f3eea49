"""Downloads with limits on the whole: seconds, and bytes.

The limit of each read lets a server keep a client for ever, by a byte now and then. Callers verify what they
get by a pinned sum.
"""

from __future__ import annotations

import gzip
import io
import threading
import time
import urllib.request
import zlib
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import NamedTuple, Protocol

from bootstrap.sums import BLOCK

_LATE = "it did not end in time"


class Limits(NamedTuple):
    """Limits of a download."""

    connect: float
    """Seconds for the connection, and for each read."""
    whole: float
    """Seconds for all of it."""
    size: int
    """Bytes of the file; a source that sends more is cut off."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to `size` bytes; none at the end."""


def download(url: str, to: Path, limits: Limits, *, compressed: bool = False) -> None:
    """Write what a URL serves to a file; `compressed`: it is gzip, and the file is plain.

    Raises:
        OSError: it cannot be read, breaks off, or goes beyond a limit; the message is the reason.
    """
    deadline = time.monotonic() + limits.whole
    try:
        with _answer(url, limits.connect, deadline) as answer:
            body = Limited(answer, deadline)
            if compressed:
                with gzip.open(io.BufferedReader(body)) as plain:
                    copy(plain, to, limits.size)
                return
            length = answer.headers.get("Content-Length", "")
            copied = copy(body, to, limits.size)
            if length.isdecimal() and copied < int(length):
                raise OSError(f"it ended after {copied:,} of {int(length):,} bytes")
    except (OSError, EOFError, zlib.error, HTTPException) as error:
        raise OSError(str(getattr(error, "reason", error))) from error


def _answer(url: str, connect: float, deadline: float) -> HTTPResponse:
    """Return a response once its headers have arrived, of which each byte may take `connect` seconds.

    Raises:
        OSError: it cannot be had, or the deadline has passed; an answer after it is closed.
    """
    pending: Future[HTTPResponse] = Future()

    def ask() -> None:
        try:
            answer = urllib.request.urlopen(url, timeout=connect)  # noqa: S310 - callers name https
        except BaseException as error:
            pending.set_exception(error)
        else:
            pending.set_result(answer)

    # Not of a pool, whose threads the interpreter waits for at its end.
    threading.Thread(target=ask, name="download", daemon=True).start()
    try:
        return pending.result(max(0.0, deadline - time.monotonic()))
    except FutureTimeout as error:
        if pending.done():  # it is the request's own, of `connect`
            raise
        pending.add_done_callback(_close)
        raise TimeoutError(_LATE) from error


def _close(late: Future[HTTPResponse]) -> None:
    if late.exception() is None:
        late.result().close()


def copy(source: Readable, to: Path, largest: int) -> int:
    """Copy a stream to a file in blocks; return the number of bytes.

    Raises:
        OSError: it has more than `largest` bytes, or cannot be read.
    """
    copied = 0
    with to.open("wb") as file:
        while block := source.read(BLOCK):
            copied += len(block)
            if copied > largest:
                raise OSError(f"{to.name} has more than {largest >> 20} MiB")
            file.write(block)
    return copied


class Limited(io.RawIOBase):
    """The body of a response, which has to end before `deadline` (of `time.monotonic`)."""

    def __init__(self, answer: HTTPResponse, deadline: float) -> None:
        self._answer, self._deadline = answer, deadline

    def readable(self) -> bool:
        """See `io.IOBase.readable`."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read what has arrived, after a wait within the response's own timeout.

        Raises:
            TimeoutError: the deadline has passed.
        """
        if time.monotonic() > self._deadline:
            raise TimeoutError(_LATE)
        # Not `read`, which waits until it has as much as it was asked for.
        data = self._answer.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)
