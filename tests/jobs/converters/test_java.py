"""Keys as a JVM writes them, and as our own reader has them back."""

from __future__ import annotations

import pytest

from jobs.converters.java import pair, six
from jobs.trainer.sources.java import Object, read
from tests.jobs.trainer.sources.serialised import PAIR


def test_a_pair_has_the_bytes_of_a_jvm() -> None:
    assert pair("cat.jpg", "3") == PAIR


@pytest.mark.parametrize("id_", ["", "a/b.jpg", "é€", "\0", "😀.png", "x" * 70_000])
def test_a_pair_of_any_text_is_read_back(id_: str) -> None:
    assert read(pair(id_, "-7")) == Object("scala.Tuple2", {"_1": id_, "_2": "-7"})


@pytest.mark.parametrize("encoded", [True, False])
def test_six_values_are_read_back(encoded: bool) -> None:
    made = read(six("00000007", "3", (1, 28, 300), encoded=encoded))

    assert made.name == "scala.Tuple6"
    assert list(made.fields.values()) == ["00000007", "3", 1, 28, 300, encoded]
    assert type(made.fields["_6"]) is bool
