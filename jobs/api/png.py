"""PNG files of raw pixels, for notebooks; the nodes have no imaging library."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_GREY, _COLOUR = 0, 2


def png(pixels: np.ndarray) -> bytes:
    """Return pixels of shape (height, width) or (height, width, 3), uint8 and RGB, as a PNG file."""
    height, width = pixels.shape[:2]
    kind = _GREY if pixels.ndim == 2 else _COLOUR  # noqa: PLR2004
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    # Each row begins with its filter: none.
    filtered = np.hstack([np.zeros((height, 1), np.uint8), rows])
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b""))
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
