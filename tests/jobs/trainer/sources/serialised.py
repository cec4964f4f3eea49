"""Objects as Java serialises them, written by hand."""

from __future__ import annotations

import base64
import struct
from typing import Any

PAIR = base64.b64decode(
    "rO0ABXNyAAxzY2FsYS5UdXBsZTIB+93NIuc0egIAAkwAAl8xdAASTGphdmEvbGFuZy9PYmplY3Q7TAACXzJxAH4AAXhwdAAHY2F0LmpwZ3QAATM="
)
"""("cat.jpg", "3") of Scala 2.13, as a JVM wrote it."""
OLDER_PAIR = base64.b64decode(
    "rO0ABXNyAAxzY2FsYS5UdXBsZTIulGZ9W5L59QIAAkwAAl8xdAASTGphdmEvbGFuZy9PYmplY3Q7TAACXzJxAH4AAXhwdAAHY2F0LmpwZ3QAATM="
)
"""The same of Scala 2.12."""
SIX = base64.b64decode(
    "rO0ABXNyAAxzY2FsYS5UdXBsZTaJ5s0LhOfwMAIABkwAAl8xdAASTGphdmEvbGFuZy9PYmplY3Q7TAACXzJxAH4AAUwAAl8zcQB+AAFMAAJfNHEAfgABTAACXzVxAH4AAUwAAl82cQB+AAF4cHQACDAwMDAwMDA3dAABM3NyABFqYXZhLmxhbmcuSW50ZWdlchLioKT3gYc4AgABSQAFdmFsdWV4cgAQamF2YS5sYW5nLk51bWJlcoaslR0LlOCLAgAAeHAAAAABc3EAfgAFAAAAHHEAfgAIc3IAEWphdmEubGFuZy5Cb29sZWFuzSBygNWc+u4CAAFaAAV2YWx1ZXhwAQ=="
)
"""("00000007", "3", 1, 28, 28, true) of Scala 2.13: the second 28 refers to the first."""
OBJECT = "Ljava/lang/Object;"


def text(value: str) -> bytes:
    """Return a text with its length."""
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def string(value: str) -> bytes:
    """Return a string as a value."""
    return b"\x74" + text(value)


def klass(name: str, *fields: str, flags: int = 2, code: bytes = b"L") -> bytes:
    """Return a class without another above it, whose fields are objects."""
    described = b"".join(code + text(field) + string(OBJECT) for field in fields)
    return b"\x72" + text(name) + bytes(8) + struct.pack(">BH", flags, len(fields)) + described + b"\x78\x70"


def obj(described: bytes, *values: bytes) -> bytes:
    """Return an object."""
    return b"\x73" + described + b"".join(values)


def stream(value: bytes) -> bytes:
    """Return a stream with one value."""
    return b"\xac\xed\x00\x05" + value


def pair(first: str, second: str, name: str = "scala.Tuple2", fields: Any = ("_1", "_2")) -> bytes:
    """Return a pair of strings."""
    return stream(obj(klass(name, *fields), string(first), string(second)))
