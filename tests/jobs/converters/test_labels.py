"""Lines of label files, and the one that is not valid."""

from __future__ import annotations

import pytest

from jobs.converters.labels import Labelled, read
from jobs.trainer.errors import Refused


def test_lines_of_two_and_of_three_parts_are_read() -> None:
    assert list(read(["a.jpg 1", "", "b/c.jpg  -2"], "l", 2)) == [
        Labelled("a.jpg", 1, "a.jpg"),
        Labelled("b/c.jpg", -2, "b/c.jpg"),
    ]
    assert [each.label for each in read(["a 007", "b -0", "c +2147483647", "d 00"], "l", 2)] == [
        7,
        0,
        2**31 - 1,
        0,
    ]
    assert list(read(["a.jpg 1 x"], "l", 3)) == [Labelled("a.jpg", 1, "x")]


@pytest.mark.parametrize("name", ["a.jpg", "./a.jpg", "/a.jpg", "b/../a.jpg"])
def test_an_image_with_two_labels_is_refused_by_its_line(name: str) -> None:
    assert len(list(read(["a.jpg 1", f"{name} 1"], "l", 2))) == 2
    with pytest.raises(Refused) as refused:
        list(read(["a.jpg 1", "b.jpg 2", f"{name} 2"], "hdfs:///l.txt", 2))
    assert str(refused.value).startswith(
        f"hdfs:///l.txt, line 3: {name} has the label 1 in line 1, and 2 here"
    )


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        *[(line, 2) for line in ("a.jpg", "a.jpg 1 x", "a b.jpg 1", "a.jpg 1.0", "a.jpg ٣")],
        *[(line, 2) for line in ("a.jpg 2147483648", "a.jpg -", "a.jpg " + "9" * 5000)],
        ("a.jpg 1", 3),
    ],
)
def test_a_line_that_is_not_valid_is_named(line: str, parts: int) -> None:
    valid = "x.jpg 1" if parts == 2 else "x.jpg 1 i"
    with pytest.raises(Refused) as refused:
        list(read([valid, line], "hdfs:///l.txt", parts))
    assert "hdfs:///l.txt, line 2: " in str(refused.value)
