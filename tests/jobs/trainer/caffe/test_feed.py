"""Feed with Caffe itself: what it reads, transforms and refuses; skipped where Caffe does not run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.trainer.caffe.feed import step_seed
from tests.jobs.trainer.artefact import Caffe

TAKE = """
import json, sys
from pathlib import Path
import lmdb, numpy as np
from jobs.trainer.caffe import native
from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.caffe.feed import Feed
from jobs.trainer.caffe.labels import Labels
from jobs.trainer.errors import Refused
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.shards import Request
from jobs.trainer.sources.transform import Transform

pb = native.protos()
folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
with lmdb.open(str(folder), map_size=1 << 24) as env, env.begin(write=True) as transaction:
    for number, one in enumerate(given["records"]):
        value = one.get("raw", "").encode()
        if "raw" not in one:
            datum = pb.Datum(label=one.get("label", 0))
            if "png" in one:
                datum.encoded, datum.data = True, bytes.fromhex(one["png"])
            else:
                c, h, w = one["shape"]
                datum.channels, datum.height, datum.width = c, h, w
                if "floats" in one:
                    datum.float_data.extend(one["floats"])
                else:
                    datum.data = bytes(one["pixels"])
            value = datum.SerializeToString()
        transaction.put(b"%04d" % number, value)
transform = given.get("transform", {})
if "mean" in transform:
    transform["mean"] = np.array(transform["mean"], np.float32)
labels = Labels(given.get("classes", 0), tuple(given.get("ignored", ())))
shape, tops = tuple(given["shape"]), ("data", "label")
layer = DataLayer("TRAIN", "data", "x", "x", 2, shape, tops, Transform(**transform), labels)
if given.get("resize"):
    layer = layer.resized()
feed = Feed(layer, Lmdb(folder, pb.Datum), seed=given.get("seed", 1))
feed.ask(Request(*one) for one in given["requests"])
found = []
try:
    while feed.upcoming():
        size = feed.upcoming()
        data, labels = np.zeros((size, *layer.shape), np.float32), np.zeros(size, np.float32)
        ids = feed.take(data, labels)
        found.append({"ids": ids, "data": data.tolist(), "labels": labels.tolist()})
except Refused as error:
    found.append(str(error))
feed.close()
print(json.dumps(found))
"""
GREY_PNG = (
    "89504e470d0a1a0a0000000d494844520000000200000002080000000057dd52f80000000e49444154789c63e0"
    "126190d3000000ec0065e0f85cd30000000049454e44ae426082"
)
"""Two rows of two pixels: 10 20, 30 40."""


@pytest.fixture
def take(caffe: Caffe, tmp_path: Path) -> Any:
    """Return the batches that a feed gives of records, or the refusal that ends them."""

    def run(records: list[dict[str, Any]], *requests: tuple[int, int, int], **given: Any) -> Any:
        asked = {"shape": [1, 2, 2], **given, "records": records, "requests": requests}
        return json.loads(caffe.result(TAKE, str(tmp_path / "lmdb"), json.dumps(asked)))

    return run


def grey(*pixels: int, label: int = 0, shape: tuple[int, int, int] = (1, 2, 2)) -> dict[str, Any]:
    return {"shape": shape, "pixels": pixels, "label": label}


FIVE = [grey(*[number] * 4, label=number) for number in range(5)]
NINE = grey(*range(9), shape=(1, 3, 3))


def test_records_come_by_their_positions_over_and_over(take: Any) -> None:
    found = take(FIVE, (0, 3, 1), (1, 3, 2), (4, 2, 1), (13, 1, 1))

    assert [batch["ids"] for batch in found] == [
        ["0000", "0001", "0002"],
        ["0001", "0003", "0000"],
        ["0004", "0000"],
        ["0003"],
    ]
    assert found[1]["labels"] == [1, 3, 0]
    assert found[0]["data"][2] == [[[2, 2], [2, 2]]]


def test_floats_are_read_when_there_are_no_bytes(take: Any) -> None:
    record = {"shape": (1, 2, 2), "floats": [0.5, -1, 2, 3]}

    assert take([record], (0, 1, 1))[0]["data"] == [[[[0.5, -1], [2, 3]]]]


@pytest.mark.parametrize(
    ("transform", "values"),
    [
        ({"scale": 0.5}, [[0, 0.5, 1], [1.5, 2, 2.5], [3, 3.5, 4]]),
        ({"scale": 0.5, "mean_values": [4]}, [[-2, -1.5, -1], [-0.5, 0, 0.5], [1, 1.5, 2]]),
        ({"mean": [[[0, 1, 2], [0, 0, 0], [6, 7, 8]]]}, [[0, 0, 0], [3, 4, 5], [0, 0, 0]]),
    ],
    ids=["scale", "mean before scale", "mean file"],
)
def test_records_are_transformed_as_by_caffe(take: Any, transform: Any, values: Any) -> None:
    assert take([NINE], (0, 1, 1), transform=transform, shape=[1, 3, 3])[0]["data"] == [[values]]


def test_testing_crops_the_centre_and_an_odd_rest_goes_to_the_lower_right(take: Any) -> None:
    assert take([NINE], (0, 1, 1), transform={"crop": 2})[0]["data"] == [[[[0, 1], [3, 4]]]]


def test_training_crops_and_mirrors_anew_in_each_repetition_and_by_the_index_alone(take: Any) -> None:
    transform = {"crop": 2, "mirror": True, "train": True}
    many = take([NINE], *[(index, 1, 1) for index in range(40)], transform=transform)
    corners = [batch["data"][0][0] for batch in many]

    assert {min(rows[0]) for rows in corners} == {0, 1, 3, 4}, "both ends of both sides"
    assert {rows[0][0] < rows[0][1] for rows in corners} == {True, False}, "mirrored or not"
    again = take([NINE], (7, 3, 10), transform=transform)[0]["data"]
    assert [one[0] for one in again] == [corners[7], corners[17], corners[27]]
    other = take([NINE], *[(index, 1, 1) for index in range(40)], transform=transform, seed=2)
    assert [batch["data"][0][0] for batch in other] != corners


def test_encoded_images_are_decoded(take: Any) -> None:
    found = take([{"png": GREY_PNG, "label": 3}], (0, 1, 1))

    assert found[0]["labels"] == [3]
    assert found[0]["data"] == [[[[10, 20], [30, 40]]]]


def test_gray_images_are_made_colour_where_the_layer_forces_it(take: Any) -> None:
    found = take([{"png": GREY_PNG}], (0, 1, 1), transform={"force_color": True}, shape=[3, 2, 2])

    assert found[0]["data"] == [[[[10, 20], [30, 40]]] * 3]


COLOUR = grey(*range(12), shape=(3, 2, 2))


@pytest.mark.parametrize(
    ("records", "given", "words"),
    [
        (
            [grey(1, 2, 3, 4), COLOUR],
            {},
            "record 0001 of the TRAIN source: it is 3x2x2, .*takes 1x2x2",
        ),
        ([COLOUR, grey(1, 2, 3, 4)], {"shape": [3, 2, 2]}, "record 0001 of the TRAIN source: it is 1x2x2"),
        ([NINE, grey(1, 2, 3, 4)], {"transform": {"crop": 3}, "shape": [1, 3, 3]}, "takes at least 1x3x3"),
        (
            [NINE],
            {"transform": {"mean": [[[0, 0], [0, 0]]], "crop": 2}},
            "it is 1x3x3, and the layer takes 1x2x2",
        ),
        (
            [*FIVE, grey(1, 1, 1, 1, label=5)],
            {"classes": 5},
            "record 0005 .* label is 5, and the net has 5",
        ),
        ([grey(1, 1, 1, 1, label=-7)], {"classes": 5}, "its label is -7"),
        ([{"raw": "no datum at all"}], {}, "record 0000 .*it is not a Datum"),
        ([{"png": ""}], {}, "record 0000 .*it is not an image that OpenCV decodes"),
        ([{"png": "ffd8ffda00112233"}], {}, "record 0000 .*its JPEG ends before the image does"),
        ([{**grey(1, 2, 3, 4, 5, 6, 7, 8), "shape": (8, 1073764994, 2147437309)}], {}, "it has 8 values"),
        ([grey(1, 2)], {}, "it has 2 values, and its header has shape 1x2x2"),
        ([grey(shape=(0, 2, 2))], {}, "it has 0 values"),
        ([{"png": "00112233"}], {}, "record 0000 .*it is not an image that OpenCV decodes"),
        ([{"png": GREY_PNG}], {"shape": [3, 2, 2]}, "it is 1x2x2, and the layer takes 3x2x2"),
    ],
)
def test_a_record_that_the_layer_does_not_take_is_named(
    take: Any, records: Any, given: Any, words: str
) -> None:
    *good, refusal = take(records, *[(index, 1, 1) for index in range(len(records))], **given)

    assert len(good) == len(records) - 1, "those before it are taken"
    assert isinstance(refusal, str)
    assert re.search(words, refusal), refusal


def test_a_label_that_every_layer_ignores_is_taken(take: Any) -> None:
    record = grey(1, 1, 1, 1, label=255)

    assert take([record], (0, 1, 1), classes=5, ignored=[255])[0]["labels"] == [255]


def test_a_record_that_is_never_asked_for_may_be_anything(take: Any) -> None:
    assert take([grey(1, 2, 3, 4), COLOUR], (0, 2, 2))[0]["ids"] == ["0000", "0000"]


def test_images_and_pixels_of_any_size_get_the_layers_where_they_are_resized(take: Any) -> None:
    records = [
        {"png": GREY_PNG},
        {"shape": [1, 2, 2], "pixels": [10, 20, 30, 40]},
        {"shape": [1, 1, 4], "pixels": [8, 8, 16, 16]},
        {"shape": [1, 4, 4], "pixels": [7] * 16},
    ]

    (found,) = take(records, (0, 4, 1), shape=[1, 1, 2], resize=True)

    assert np.shape(found["data"]) == (4, 1, 1, 2)
    assert found["data"][0] == found["data"][1], "the file's pixels are these"
    assert found["data"][2] == [[[8.0, 16.0]]]
    assert found["data"][3] == [[[7.0, 7.0]]]


def test_channels_are_not_resized(take: Any) -> None:
    (refused,) = take([{"png": GREY_PNG}], (0, 1, 1), shape=[3, 4, 4], resize=True)

    assert "it is 1x4x4, and the layer takes 3x4x4" in refused


def test_the_seed_of_a_step_is_of_32_bits_and_differs_by_rank_and_iteration() -> None:
    seeds = {step_seed(seed, rank, number) for seed in (0, 2**40) for rank in (0, 1) for number in range(50)}

    assert len(seeds) == 200
    assert 2**31 < max(seeds) < 2**32
