"""Downloads with a limit on the whole.

The limit of each read lets a server keep a client for ever, by a byte now and then.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse


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
            raise TimeoutError("it did not end in time")
        # Not `read`, which waits until it has as much as it was asked for.
        data = self._answer.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)
