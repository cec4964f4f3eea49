"""Objects that Java has serialised."""

from __future__ import annotations

import struct

import pytest

from jobs.trainer.sources.java import Malformed, Object, read
from tests.jobs.trainer.sources import serialised
from tests.jobs.trainer.sources.serialised import klass, obj, pair, stream, string


@pytest.mark.parametrize("data", [serialised.PAIR, serialised.OLDER_PAIR], ids=["2.13", "2.12"])
def test_a_pair_of_any_version_of_scala_is_read(data: bytes) -> None:
    assert read(data) == Object("scala.Tuple2", {"_1": "cat.jpg", "_2": "3"})


def test_numbers_and_booleans_come_out_of_their_boxes_also_where_one_refers_to_another() -> None:
    assert list(read(serialised.SIX).fields.values()) == ["00000007", "3", 1, 28, 28, True]


def test_null_and_references_are_values() -> None:
    # Handles: the class, its field's type, the other field's type, the object, the string.
    twice = stream(obj(klass("P", "a", "b"), string("x"), b"\x71" + struct.pack(">I", 0x7E0004)))
    none = stream(obj(klass("P", "a"), b"\x70"))

    assert read(twice).fields == {"a": "x", "b": "x"}
    assert read(none).fields == {"a": None}


def test_an_object_refers_to_the_class_of_the_one_around_it() -> None:
    first = b"\x71" + struct.pack(">I", 0x7E0000)

    read_back = read(stream(obj(klass("P", "a"), obj(first, b"\x70"))))

    assert read_back == Object("P", {"a": Object("P", {"a": None})})


@pytest.mark.parametrize("name", ["java.lang.Thread", "org.thing.Integer"])
def test_only_javas_own_numbers_are_boxes(name: str) -> None:
    assert read(stream(obj(klass(name, "value"), string("x")))) == Object(name, {"value": "x"})


def test_fifteen_objects_or_classes_may_be_in_each_other() -> None:
    objects = obj(klass("P"))
    for _ in range(14):
        objects = obj(klass("P", "a"), objects)
    classes = obj(klass("P")[:-1] * 15 + b"\x70")

    assert str(read(stream(objects))).count("Object(") == 15
    assert read(stream(classes)) == Object("P", {})
    for deeper in (obj(klass("P", "a"), objects), obj(klass("P")[:-1] * 16 + b"\x70")):
        with pytest.raises(Malformed, match="too deep in each other"):
            read(stream(deeper))


@pytest.mark.parametrize("text", ["größe", "日本", "\U0001f408", "a\0b", ""])
def test_texts_are_those_that_java_means(text: str) -> None:
    sixteen = text.encode("utf-16-be")
    data = b""
    for (unit,) in struct.iter_unpack(">H", sixteen):
        data += b"\xc0\x80" if unit == 0 else chr(unit).encode("utf-8", "surrogatepass")

    assert read(stream(b"\x74" + struct.pack(">H", len(data)) + data)) == text
    assert read(stream(b"\x7c" + struct.pack(">Q", len(data)) + data)) == text


@pytest.mark.parametrize("length", range(len(serialised.SIX)))
def test_what_is_cut_off_is_refused_wherever_it_ends(length: int) -> None:
    with pytest.raises(Malformed, match=f"it ends at byte {length}|not a serialised object"):
        read(serialised.SIX[:length])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"text", "not a serialised object of Java"),
        (stream(b"\x75"), "at byte 4 it has type code 0x75"),
        (stream(b"\x77\x01a"), "at byte 4 it has type code 0x77"),
        (stream(b"\x71" + struct.pack(">I", 0x7E0000)), "at byte 4 it refers to nothing"),
        (stream(b"\x71" + bytes(4)), "at byte 4 it refers to nothing"),
        (stream(obj(b"\x70")), "at byte 5 an object has no class"),
        (stream(obj(string("x"))), "at byte 5 there is no class, but 0x74"),
        (stream(obj(klass("P", flags=3))), "class P has flags 0x03"),
        (stream(obj(klass("P", "a", code=b"["), string("x"))), r"field a has type '\['"),
        (stream(obj(klass("P")[:-2] + b"\x70")), "class P is annotated"),
        (stream(b"\x74\x00\x01\xff"), "at byte 7 there is no text"),
        (stream(obj(klass("P", "a")) * 40), "too deep in each other"),
        (stream(obj(klass("P")[:-1] * 40)), "too deep in each other"),
    ],
)
def test_anything_else_is_refused_with_its_position(data: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read(data)


def test_no_byte_of_a_key_makes_it_anything_else_than_refused_or_read() -> None:
    good = pair("a", "1")
    for at in range(len(good)):
        for value in (0, 0x71, 0x73, 0x7C, 0xFF):
            damaged = good[:at] + bytes([value]) + good[at + 1 :]
            try:
                read(damaged)
            except Malformed:
                continue
