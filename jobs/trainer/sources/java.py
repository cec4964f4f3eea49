"""Objects of Java's serialisation, as far as keys of CaffeOnSpark's sequence files have them.

Source: Java Object Serialization Specification, chapter 6. Read are strings, null, references, and objects
whose classes are serialisable without methods of their own; numbers in boxes come as numbers.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

_MAGIC = b"\xac\xed\x00\x05"
_NULL, _REFERENCE, _CLASS, _OBJECT, _STRING, _END, _LONG_STRING = 0x70, 0x71, 0x72, 0x73, 0x74, 0x78, 0x7C
_FIRST_HANDLE = 0x7E0000
_SERIALIZABLE = 0x02
"""Flags of a class whose objects have its fields and nothing else."""
_PRIMITIVES = {"B": ">b", "D": ">d", "F": ">f", "I": ">i", "J": ">q", "S": ">h", "Z": ">?"}
_BOXES = ("Boolean", "Byte", "Double", "Float", "Integer", "Long", "Short")
_DEEPEST = 16
"""Objects inside each other: keys have two, and Python's stack has an end."""


class Malformed(ValueError):
    """Bytes that are no such object; the message has the position."""


class Object(NamedTuple):
    """An object: the name of its class, and its fields with those of the classes above."""

    name: str
    fields: Dict[str, Any]


class _Class(NamedTuple):
    name: str
    fields: List[Tuple[str, str]]
    """Type codes and names."""
    above: Optional["_Class"]


def read(data: bytes) -> Any:  # noqa: ANN401 - a string, None, a number, or an Object
    """Return the first object of a stream.

    Raises:
        Malformed: it is none, or has what is not read here.
    """
    if data[: len(_MAGIC)] != _MAGIC:
        raise Malformed("it is not a serialised object of Java")
    return _Stream(data).value(0)


class _Stream:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, len(_MAGIC)
        self._handles: List[Any] = []

    def value(self, depth: int) -> Any:  # noqa: ANN401
        at, code = self._code(depth, "objects")
        if code == _NULL:
            return None
        if code == _REFERENCE:
            return self._referred(at)
        if code in {_STRING, _LONG_STRING}:
            text = self._text(">H" if code == _STRING else ">Q")
            self._handles.append(text)
            return text
        if code == _OBJECT:
            return self._object(depth)
        raise Malformed("at byte {} it has type code 0x{:02x}, which keys do not have".format(at, code))

    def _object(self, depth: int) -> Any:  # noqa: ANN401
        at = self._at
        kind = self._class(depth + 1)
        if kind is None:
            raise Malformed("at byte {} an object has no class".format(at))
        number = len(self._handles)
        self._handles.append(None)
        found: Dict[str, Any] = {}
        for one in _from_the_top(kind):
            for code, name in one.fields:
                primitive = _PRIMITIVES.get(code)
                found[name] = self._number(primitive) if primitive else self.value(depth + 1)
        made: Any = Object(kind.name, found)
        if kind.name.startswith("java.lang.") and kind.name[len("java.lang.") :] in _BOXES:
            made = found.get("value")
        self._handles[number] = made
        return made

    def _class(self, depth: int) -> Optional[_Class]:
        at, code = self._code(depth, "classes")
        if code == _NULL:
            return None
        if code == _REFERENCE:
            known = self._referred(at)
            if isinstance(known, _Class):
                return known
        if code != _CLASS:
            raise Malformed("at byte {} there is no class, but 0x{:02x}".format(at, code))
        name = self._text(">H")
        self._take(8)  # serialVersionUID, which differs by Scala's version
        number = len(self._handles)
        self._handles.append(None)
        at = self._at
        flags = self._number(">B")
        if flags != _SERIALIZABLE:
            raise Malformed("at byte {} class {} has flags 0x{:02x}".format(at, name, flags))
        fields = [self._field(depth) for _ in range(self._number(">H"))]
        at = self._at
        if self._number(">B") != _END:
            raise Malformed("at byte {} class {} is annotated".format(at, name))
        made = _Class(name, fields, self._class(depth + 1))
        self._handles[number] = made
        return made

    def _code(self, depth: int, nested: str) -> Tuple[int, int]:
        """Return the position of the next type code, and the code."""
        at = self._at
        if depth > _DEEPEST:
            raise Malformed("at byte {} its {} are too deep in each other".format(at, nested))
        return at, self._number(">B")

    def _field(self, depth: int) -> Tuple[str, str]:
        at = self._at
        code, name = chr(self._number(">B")), self._text(">H")
        if code == "L":
            self.value(depth + 1)
        elif code not in _PRIMITIVES:
            raise Malformed(
                "at byte {} field {} has type {!r}, which keys do not have".format(at, name, code)
            )
        return code, name

    def _referred(self, at: int) -> Any:  # noqa: ANN401
        number = self._number(">I") - _FIRST_HANDLE
        if not 0 <= number < len(self._handles):
            raise Malformed("at byte {} it refers to nothing".format(at))
        return self._handles[number]

    def _number(self, form: str) -> Any:  # noqa: ANN401
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _text(self, size: str) -> str:
        count, at = self._number(size), self._at
        try:
            # Java writes NUL as two bytes, and characters beyond the 16-bit ones as two of three bytes each.
            plain = self._take(count).replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
            return plain.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeError as error:
            raise Malformed("at byte {} there is no text".format(at)) from error

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise Malformed("it ends at byte {}, inside a value".format(len(self._data)))
        self._at += count
        return taken


def _from_the_top(kind: Optional[_Class]) -> List[_Class]:
    return [*_from_the_top(kind.above), kind] if kind else []
