"""Feed over a stand-in for its native module: what it asks for, hands on, and makes of a bad record."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jobs.trainer.caffe import native
from jobs.trainer.caffe.blobs import Blob, Top
from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.caffe.feed import Feed, record_shape
from jobs.trainer.caffe.labels import Labels
from jobs.trainer.errors import Refused
from jobs.trainer.sources.columns import Column
from jobs.trainer.sources.registry import COLUMNS, FRAME, LMDB
from jobs.trainer.sources.shards import Request
from jobs.trainer.sources.transform import Transform

LAYER = DataLayer("TRAIN", "data", LMDB, "hdfs://h/s", 2, (1, 2, 3), ("data", "label"), Transform())
MEAN = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


class BadRecord(ValueError):
    def __init__(self, code: str, **fields: str) -> None:
        super().__init__(code)
        self.code, self.fields = code, fields


class Native:
    """A feed of the module; `bad` is raised instead of a batch."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.described, self.requests, self.taken = described, list[Any](), list[Any]()
        self.bad: Exception | None = None
        self.opened, self.attached = "", tuple[Any, ...]()
        self.closed = False
        made.append(self)
        file = pb_of().TransformationParameter.FromString(described["transform"]).mean_file
        self.mean: Any = pb_of().BlobProto.FromString(Path(file).read_bytes()) if file else None

    def open(self, path: str) -> None:
        self.opened = path

    def request(self, *request: int) -> None:
        self.requests.append(request)

    def attach(self, *given: Any) -> None:
        self.attached = given

    def step(self, solver: Any, seed: int) -> float:
        if self.bad:
            raise self.bad
        return 10.0 * seed

    def take(self, data: Any, labels: Any) -> list[str]:
        if self.bad:
            raise self.bad
        self.taken.append((data, labels))
        return [f"{len(self.taken)}"]

    def close(self) -> None:
        self.closed = True


made: list[Native] = []


def pb_of() -> Any:
    return native.protos()


@pytest.fixture(autouse=True)
def _module(pb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(native, "protos", lambda: pb)
    monkeypatch.setitem(sys.modules, "caffe_feed", SimpleNamespace(Feed=Native, BadRecord=BadRecord))
    made.clear()
    yield


def feed(layer: DataLayer = LAYER, seed: int = 0) -> Feed:
    paths = tuple(Path(f"/nodes/{number}") for number in range(len(layer.blobs)))
    return Feed(layer, SimpleNamespace(paths=paths), seed)


def batches(count: int) -> list[Request]:
    return [Request(number, 2, 1) for number in range(count)]


def words() -> DataLayer:
    tops = tuple(
        Top(Column(name, "INT_ARRAY", (4, 1, 1)), Blob(name, (4, 1, 1), Transform(), axes=1))
        for name in ("input", "target")
    )
    return replace(LAYER, source_class=COLUMNS, tops=("input", "target"), columns=tops)


def test_two_batches_are_read_while_the_net_uses_its_own() -> None:
    one = feed()
    one.ask(batches(9))

    assert one.step("solver", 7, passes=1) == 70
    assert made[0].requests == batches(3)
    one.step("solver", 7, passes=3)
    assert made[0].requests == batches(6)


def test_the_next_batch_is_known_before_it_is_taken_and_after_the_last_there_is_none() -> None:
    one = feed()
    one.ask(batches(3))
    one.ask([Request(3, 1, 1)])

    sizes = []
    while one.upcoming():
        sizes.append(one.upcoming())
        ids = one.take(np.zeros(1), np.ones(1))
    assert (sizes, ids) == ([2, 2, 2, 1], ["4"])
    assert one.upcoming() == 0
    assert made[0].requests == [*batches(3), (3, 1, 1)]


def test_taking_asks_ahead_too() -> None:
    one = feed()
    one.ask(batches(9))

    one.take(np.zeros(1), np.ones(1))
    assert len(made[0].requests) == 3
    one.take(np.zeros(1), np.ones(1))
    assert len(made[0].requests) == 4


def test_each_blob_has_its_arrays_and_those_without_labels_one() -> None:
    one = feed()
    one.ask(batches(1))
    one.take(np.zeros(1), np.ones(1))
    assert [array.tolist() for array in made[0].taken[0]] == [[0], [1]]

    made.clear()
    two = feed(words())
    two.ask(batches(1))
    two.take(np.zeros(1), np.ones(1))
    assert [(native.taken[0][0].tolist(), native.taken[0][1]) for native in made] == [
        ([0], None),
        ([1], None),
    ]


def test_natives_are_opened_attached_and_closed_with_their_blobs() -> None:
    one = feed(words())
    one.attach("solver")
    one.close()

    assert [(native.opened, native.attached, native.closed) for native in made] == [
        ("/nodes/0", ("solver", "input", ""), True),
        ("/nodes/1", ("solver", "target", ""), True),
    ]


def test_a_blob_is_described_with_its_transformation_and_its_mean(pb: Any) -> None:
    transform = Transform(0.5, (), MEAN, 2, True, False, False, True)
    layer = replace(LAYER, transform=transform, labels=Labels(10, (255,)), resize=True)
    feed(layer, seed=5)
    feed()
    described = dict(made[0].described)
    read = pb.TransformationParameter.FromString(described.pop("transform"))

    assert described == {
        "channels": 1,
        "height": 2,
        "width": 3,
        "train": True,
        "mean": [2, 3, 4],
        "classes": 10,
        "ignored": [255],
        "seed": 5,
        "resize": [2, 3],
        "transposed": False,
        "values_are_labels": False,
    }
    assert (read.scale, read.crop_size, read.mirror) == (0.5, 2, True)
    mean = made[0].mean
    assert (mean.num, mean.channels, mean.height, mean.width) == (1, 2, 3, 4)
    assert list(mean.data) == MEAN.ravel().tolist()
    assert (made[1].described["mean"], made[1].mean) == ([], None)


@pytest.mark.parametrize(
    ("classes", "label_blob", "are"), [(0, "", False), (7, "", True), (7, "y", False), (0, "y", False)]
)
def test_values_are_labels_where_the_net_takes_classes_of_them(
    classes: int, label_blob: str, are: bool
) -> None:
    blob = Blob("x", (4, 1, 1), Transform(), Labels(classes), label_blob, axes=1, transposed=True)
    feed(replace(words(), columns=(Top(Column("x", "INT_ARRAY", (4, 1, 1)), blob),)))

    assert made[0].described["values_are_labels"] is are
    assert made[0].described["transposed"]


LABEL = {"key": "0000000007/a", "label": "9", "classes": "5"}


@pytest.mark.parametrize(("source_class", "path"), [(LMDB, "/nodes/0"), (FRAME, "hdfs://h/s")])
def test_a_bad_record_is_named_with_the_source_that_a_user_knows(source_class: str, path: str) -> None:
    one = feed(replace(LAYER, source_class=source_class))
    one.ask(batches(1))
    made[0].bad = BadRecord("label-out-of-range", **LABEL)

    for action in (lambda: one.step("solver", 1, 1), lambda: one.take(np.zeros(1), np.zeros(1))):
        with pytest.raises(Refused) as refused:
            action()
        assert refused.value.code == "label-out-of-range"
        assert refused.value.fields == {"phase": "TRAIN", "path": path, **LABEL}


@pytest.mark.parametrize(
    "first", [None, ValueError("of another size"), BadRecord("record-unreadable", key="1")]
)
def test_a_bad_record_of_a_column_is_named_with_the_column(first: Exception | None) -> None:
    one = feed(words())
    one.ask(batches(1))
    made[0].bad, made[1].bad = first, BadRecord("label-out-of-range", **LABEL)
    with pytest.raises(Refused) as refused:
        one._told(lambda: made[1].take(None, None))

    assert refused.value.fields["key"] == '0000000007/a, column "target",'


def test_the_first_record_tells_its_shape() -> None:
    layer = replace(LAYER, transform=Transform(0.5, force_gray=True, crop=1), labels=Labels(3))
    source: Any = SimpleNamespace(paths=(Path("/nodes/0"),))

    def shape(bad: Exception | None) -> Any:
        made.clear()
        take = Native.take

        def taken(self: Native, data: Any, labels: Any) -> list[str]:
            assert (data.shape, data.dtype, labels.shape) == ((1, 1, 1, 1), np.float32, (1,))
            self.bad = bad
            return take(self, data, labels)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Native, "take", taken)
            return record_shape(layer, source)

    fields = {"key": "0", "record": "3x28x29", "layer": "1x1x1"}
    assert shape(BadRecord("record-does-not-fit", **fields)) == (3, 28, 29)
    assert shape(None) == (1, 1, 1)
    with pytest.raises(Refused) as refused:
        shape(BadRecord("record-unreadable", key="0", reason="it is not a Datum"))
    assert refused.value.code == "record-unreadable"
    described, read = made[0].described, pb_of().TransformationParameter
    assert [described[name] for name in ("channels", "height", "width", "classes")] == [1, 1, 1, 0]
    transform = read.FromString(described["transform"])
    assert (transform.force_gray, transform.crop_size, transform.scale) == (True, 0, 1)
    assert made[0].requests == [(0, 1, 1)]
    assert made[0].closed
