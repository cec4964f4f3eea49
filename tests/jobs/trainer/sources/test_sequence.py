"""Samples of sequence files whose keys Java has serialised."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.samples import Sample
from jobs.trainer.sources.sequence import samples
from tests.jobs.trainer.sources import serialised
from tests.jobs.trainer.sources.serialised import klass, obj, pair, stream, string


@pytest.mark.parametrize(
    "key",
    [serialised.PAIR, pair("cat.jpg", "3", "com.yahoo.ml.dl.caffe.Pair", ("first", "second"))],
    ids=["Scala", "Java"],
)
def test_the_value_of_a_pair_is_an_encoded_image_of_any_size(key: bytes) -> None:
    assert list(samples([(key, b"image")], "u")) == [Sample("cat.jpg", "3", 0, 0, 0, True, b"image")]


def test_a_key_of_six_tells_the_shape_and_whether_the_value_is_an_image() -> None:
    found = samples([(bytearray(serialised.SIX), bytearray(b"pixels"))], "u")

    assert list(found) == [Sample("00000007", "3", 1, 28, 28, True, b"pixels")]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("text", "it is not a BytesWritable"),
        (None, "it is not a BytesWritable"),
        (b"bytes", "it is not a serialised object of Java"),
        (stream(string("id")), "it is a str, not one of scala.Tuple2"),
        (pair("a", "1", "scala.Some"), "it is a scala.Some, not one of scala.Tuple2"),
        (stream(obj(klass("scala.Tuple2", "_1"), string("a"))), "its scala.Tuple2 has the fields _1"),
        (serialised.PAIR[:-1], f"it ends at byte {len(serialised.PAIR) - 1}"),
    ],
)
def test_another_key_is_refused_with_the_position_of_its_record(key: Any, said: str) -> None:
    found = samples([(serialised.PAIR, b""), (key, b"")], "hdfs://h/s")
    next(found)

    with pytest.raises(Refused, match=f"record 1 of hdfs://h/s: its key is not one of .*{said}"):
        next(found)
