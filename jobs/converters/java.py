"""Keys of SeqImageDataSource as Java serialises them: the twin of `jobs.trainer.sources.java`.

Source: Java Object Serialization Specification, chapter 6. Classes have the serialVersionUID of Scala 2.13;
CaffeOnSpark's own JVM would need that Scala.
"""

from __future__ import annotations

import struct
from typing import Sequence, Union

_MAGIC = b"\xac\xed\x00\x05"
_REFERENCE, _CLASS, _OBJECT, _STRING, _END, _NULL, _LONG_STRING = b"q", b"r", b"s", b"t", b"x", b"p", b"|"
_FIRST_HANDLE = 0x7E0000
_PAIR_UID, _SIX_UID = 0x01FBDDCD22E7347A, 0x89E6CD0B84E7F030
_INTEGER_UID, _NUMBER_UID, _BOOLEAN_UID = 0x12E2A0A4F7818738, 0x86AC951D0B94E08B, 0xCD207280D59CFAEE
_SERIALIZABLE = 2
_SHORT = 0xFFFF
"""Bytes of a text whose length has two bytes."""

Value = Union[str, int, bool]


def pair(id_: str, label: str) -> bytes:
    """Return the key (id, label) of an encoded image, as Binary2Sequence writes it."""
    return _Stream().tuple("scala.Tuple2", _PAIR_UID, (id_, label))


def six(id_: str, label: str, shape: Sequence[int], *, encoded: bool) -> bytes:
    """Return the key (id, label, channels, height, width, encoded), as LMDB2Sequence writes it."""
    return _Stream().tuple("scala.Tuple6", _SIX_UID, (id_, label, *shape, encoded))


class _Stream:
    """A stream with one tuple; classes that come again are references by their handles."""

    def __init__(self) -> None:
        self._handles = 0
        self._classes = {}  # type: ignore[var-annotated]

    def tuple(self, name: str, uid: int, values: Sequence[Value]) -> bytes:
        """Return the whole stream."""
        fields = []
        number = self._new()
        for index in range(len(values)):
            form = _STRING + _text("Ljava/lang/Object;") if not index else _reference(number + 1)
            fields.append(b"L" + _text("_{}".format(index + 1)) + form)
        self._new()
        described = _described(name, uid, fields) + _END + _NULL
        self._new()
        return _MAGIC + _OBJECT + described + b"".join(map(self._value, values))

    def _value(self, value: Value) -> bytes:
        if isinstance(value, str):
            self._new()
            data = _modified(value)
            if len(data) > _SHORT:
                return _LONG_STRING + struct.pack(">Q", len(data)) + data
            return _STRING + struct.pack(">H", len(data)) + data
        kind = "java.lang.Boolean" if isinstance(value, bool) else "java.lang.Integer"
        form = self._box(kind)
        self._new()
        return _OBJECT + form + struct.pack(">?" if isinstance(value, bool) else ">i", value)

    def _box(self, kind: str) -> bytes:
        """Return the class of a boxed number, at first whole."""
        if kind in self._classes:
            return _reference(self._classes[kind])
        self._classes[kind] = self._new()
        if kind == "java.lang.Boolean":
            return _described(kind, _BOOLEAN_UID, [b"Z" + _text("value")]) + _END + _NULL
        self._new()
        number = _described("java.lang.Number", _NUMBER_UID, []) + _END + _NULL
        return _described(kind, _INTEGER_UID, [b"I" + _text("value")]) + _END + number

    def _new(self) -> int:
        self._handles += 1
        return self._handles - 1


def _described(name: str, uid: int, fields: Sequence[bytes]) -> bytes:
    return _CLASS + _text(name) + struct.pack(">QBH", uid, _SERIALIZABLE, len(fields)) + b"".join(fields)


def _reference(number: int) -> bytes:
    return _REFERENCE + struct.pack(">I", _FIRST_HANDLE + number)


def _text(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode()


def _modified(value: str) -> bytes:
    """Return a text in Java's UTF-8: NUL has two bytes, a character beyond 16 bits two of three bytes."""
    units = value.encode("utf-16-be", "surrogatepass")
    halves = "".join(map(chr, struct.unpack(">{}H".format(len(units) // 2), units)))
    return halves.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
