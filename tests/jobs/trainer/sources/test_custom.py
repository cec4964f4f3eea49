"""Sources of the user's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources import custom
from jobs.trainer.sources.custom import Layer
from jobs.trainer.sources.registry import check_class, is_converted, marker, own_ids
from jobs.trainer.sources.samples import Context, Sample, record

LAYER = Layer("data", "TRAIN", 1, 2, 3)
SOURCE = """
import numpy

class Numbers:
    def __init__(self, uri, layer):
        self.uri, self.layer = uri, layer

    def records(self):
        yield "a", 1, b"image file"
        pixels = numpy.arange(6, dtype=numpy.uint8)
        yield 7, numpy.int64(2), pixels.reshape(self.layer.height, self.layer.width)
"""
Ship = Callable[[str, str], None]


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ship]:
    """Put a module into the working folder, as `--files` does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    shipped = []

    def put(module: str, text: str) -> None:
        shipped.append(module)
        (tmp_path / f"{module}.py").write_text(text)

    yield put
    for name in shipped:
        sys.modules.pop(name, None)


def read(name: str) -> list[Sample]:
    return list(custom.samples(name, "db://numbers", LAYER, "built-in"))


def test_a_class_gives_image_files_and_arrays(ship: Ship, pb: Any) -> None:
    ship("given", SOURCE)

    first, second = read("given.Numbers")

    assert first == Sample("a", 1, None, None, None, True, b"image file")
    assert second == Sample(7, 2, 1, 2, 3, False, bytes(range(6)))
    key, value = record(second, 1, Context("u", (1, 2, 3), pb.Datum))
    made = pb.Datum.FromString(value)
    assert (key, made.label, made.data) == (b"0000000001/7", 2, bytes(range(6)))


def test_arrays_of_floats_are_stored_by_channel(ship: Ship, pb: Any) -> None:
    array = "numpy.array([[[0.5, 1.5], [2.5, 3.5]]])"
    ship("floats", SOURCE.replace('yield "a", 1, b"image file"', f'yield "a", 1, {array}'))

    _, value = record(read("floats.Numbers")[0], 0, Context("u", (2, 1, 2), pb.Datum))

    made = pb.Datum.FromString(value)
    assert list(made.float_data) == [0.5, 2.5, 1.5, 3.5]
    assert (made.channels, made.height, made.width) == (2, 1, 2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("numpy.nan", "nan"), ("-numpy.inf", "-inf"), ("1e39", "1e[+]39"), ("numpy.float16('inf')", "inf")],
)
def test_floats_that_caffe_cannot_hold_are_refused_with_their_record(
    ship: Ship, pb: Any, value: str, shown: str
) -> None:
    array = f"numpy.array([[0.5, {value}]])"
    name = f"unheld{abs(hash(value))}"
    ship(name, SOURCE.replace('yield "a", 1, b"image file"', f'yield "a", 1, {array}'))

    [sample, *_] = read(f"{name}.Numbers")

    with pytest.raises(Refused, match=f"record 0000000000/a of u: its image has the value {shown}, which is"):
        record(sample, 0, Context("u", (1, 1, 2), pb.Datum))


def test_a_class_of_the_users_is_a_source_that_is_converted(ship: Ship) -> None:
    ship("known", SOURCE)

    check_class("known.Numbers")

    assert is_converted("known.Numbers")
    assert marker("known.Numbers") == ""
    assert own_ids("known.Numbers", ["0000000001/7"]) == ["7"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing_module.Numbers", "LMDB, .* nor a class that can be imported .No module named 'missing_mod"),
        ("missing.package.Numbers", "No module named 'missing'.. Fix the name, or ship missing.package"),
        ("present.Letters", "module present has no Letters"),
        ("present.numpy", "present.numpy.: it is not a class with a method `records`"),
        ("present.Empty", "it is not a class with a method `records`"),
        ("broken.Numbers", "it raises SyntaxError at broken.py:3"),
        ("failing.Numbers", "it raises ZeroDivisionError at failing.py:2: division by zero"),
        ("needing.Numbers", "it raises ModuleNotFoundError at needing.py:1: No module named 'not_shipped'"),
        ("exiting.Numbers", "it raises SystemExit at exiting.py:2: 0"),
    ],
)
def test_what_is_no_class_of_records_is_refused_by_name(ship: Ship, name: str, words: str) -> None:
    ship("present", SOURCE + "\n\nclass Empty:\n    pass\n")
    ship("broken", "x = 1\n\nclass class\n")
    ship("failing", "x = 1\ny = x / 0\n")
    ship("needing", "import not_shipped\n")
    ship("exiting", "import sys\nsys.exit(0)\n")

    with pytest.raises(Refused, match=words):
        check_class(name)


@pytest.mark.parametrize("code", [0, 1, "words"])
def test_a_class_that_exits_is_no_end_of_the_job(ship: Ship, code: Any) -> None:
    ship("leaving", SOURCE.replace("yield 7", f"raise SystemExit({code!r})\n        yield 7"))

    with pytest.raises(Refused, match=r"it raises SystemExit at leaving\.py:11"):
        read("leaving.Numbers")


def test_a_signal_ends_the_job_also_while_a_class_runs(ship: Ship) -> None:
    ship("killed", SOURCE.replace("yield 7", "raise SystemExit(143)\n        yield 7"))

    with pytest.raises(SystemExit, match="143"):
        read("killed.Numbers")


FIRST = 'yield "a", 1, b"image file"'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("self.uri, self", "raise OSError('no ' + uri)", "it raises OSError at own.py:6: no db://numbers"),
        (FIRST, "yield 1 / 0", "it raises ZeroDivisionError at own.py:9: division by zero"),
        (FIRST, "numpy.zeros(-1)", "it raises ValueError at own.py:9: negative dimensions"),
        ("def records(self):", "def records(self): return 3\n    def more(self):", "it raises TypeError at"),
        (FIRST, 'yield "a", 1', "record 0 of db://numbers: the source yields a tuple, not"),
        (
            FIRST,
            FIRST + "\n        " + FIRST + '\n        yield "a", 1',
            "record 2 of db://numbers: the source",
        ),
        ('b"image file"', "numpy.zeros(3)", "its array is 3 of float64, not uint8 or float by row"),
        ('b"image file"', "numpy.zeros((2, 3), int)", "its array is 2x3 of int64"),
        (
            'b"image file"',
            '"image.png"',
            "record 0 of db://numbers: its image is a str, neither bytes of an im",
        ),
        ('b"image file"', "None", "its image is a NoneType, neither bytes"),
    ],
)
def test_a_failure_of_the_class_has_its_line(ship: Ship, old: str, new: str, words: str) -> None:
    assert old in SOURCE
    line = f"{old}.layer = uri, layer" if old.startswith("self.uri") else old
    ship("own", SOURCE.replace(line, new))

    with pytest.raises(Refused, match=words):
        read("own.Numbers")
