"""Files of a job on a node, as programs that run there as root open them."""

from __future__ import annotations

from typing import Final

OPENED: Final = r"""
def opened(path, flags):
    # A job may have put anything there: a pipe without a writer would wait for one.
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError("not a file")
"""
"""Python's `opener` of such a program, which has imported os and stat: of regular files alone."""
