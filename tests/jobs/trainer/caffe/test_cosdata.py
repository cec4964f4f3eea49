"""CoSData layers: a column of a DataFrame for each top."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from jobs.trainer.caffe.labels import ANY, Labels
from jobs.trainer.caffe.prototxt import TrainingJob, load, with_labels, with_layers
from jobs.trainer.errors import Refused
from jobs.trainer.sources.columns import Column
from jobs.trainer.sources.frame import Reading

SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 6 snapshot_prefix: "s"
random_seed: 7 display: 0 test_iter: 1 test_interval: 1 solver_mode: CPU
"""
IMAGE = """
top { name: "photo" type: ENCODED_IMAGE_WITH_DIM channels: 3 height: 9 width: 8 out_height: 7 out_width: 7
  transform_param { crop_size: 7 mirror: true } }
"""
LABEL = 'top { name: "class" type: INT channels: 1 height: 1 width: 1 }'
WORDS = 'top { name: "words" type: INT_ARRAY channels: 4 sample_num_axes: 1 transpose: true }'
LAYER = """
layer {{
  name: "data" type: "CoSData" top: "data" top: "label" top: "words" include {{ phase: {phase} }}
  source_class: "com.yahoo.ml.caffe.DataFrameSource"
  cos_data_param {{ source: "hdfs:///{phase}" batch_size: {batch} {more} {tops} }}
}}
"""
REST = """
layer { name: "silence" type: "Silence" bottom: "words" }
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def write(folder: Path, tops: str = IMAGE + LABEL + WORDS, rest: str = REST, more: str = "") -> Path:
    phases = (("TRAIN", 5), ("TEST", 2))
    layers = [LAYER.format(phase=phase, batch=batch, tops=tops, more=more) for phase, batch in phases]
    (folder / "net.prototxt").write_text("".join([*layers, rest]))
    (folder / "solver.prototxt").write_text(SOLVER)
    return folder / "solver.prototxt"


def loaded(folder: Path, pb: Any, tops: str = IMAGE + LABEL + WORDS) -> TrainingJob:
    return load(write(folder, tops), pb)


def test_each_top_is_a_column_with_a_blob_of_its_own(tmp_path: Path, pb: Any) -> None:
    layer = loaded(tmp_path, pb).train

    assert (layer.uri, layer.batch, layer.tops) == ("hdfs:///TRAIN", 5, ("data", "label", "words"))
    assert [top.column for top in layer.columns] == [
        Column("photo", "ENCODED_IMAGE_WITH_DIM", (3, 9, 8)),
        Column("class", "INT", (1, 1, 1)),
        Column("words", "INT_ARRAY", (4, 1, 1)),
    ]
    assert [blob.shape for blob in layer.blobs] == [(3, 7, 7), (1, 1, 1), (4, 1, 1)]
    assert layer.blobs[0].transform.force_color, "as the channels of the top say"
    assert layer.blobs[0].transform.train


def test_the_format_of_the_frame_is_the_layers(tmp_path: Path, pb: Any) -> None:
    assert loaded(tmp_path, pb).train.reading == Reading(format="parquet")
    job = load(write(tmp_path, more='dataframe_format: "json"'), pb)
    assert job.train.reading == Reading(format="json")


def test_inputs_have_the_shapes_that_caffeonsparks_layer_gives_its_tops(tmp_path: Path, pb: Any) -> None:
    job = loaded(tmp_path, pb)
    layers = [
        text_format.Parse(text, pb.NetParameter()).layer[0] for text in (job.train_net, job.tests[0].net)
    ]

    for layer, batch in zip(layers, (5, 2), strict=True):
        assert (layer.type, layer.source_class, layer.HasField("cos_data_param")) == ("Input", "", False)
        assert [list(shape.dim) for shape in layer.input_param.shape] == [
            [batch, 3, 7, 7],
            [batch, 1, 1, 1],
            [4, batch],
        ]


@pytest.mark.parametrize(
    ("top", "dims"),
    [
        ("type: FLOAT_ARRAY channels: 2 height: 3 width: 4", [5, 2, 3, 4]),
        ("type: FLOAT_ARRAY channels: 2 height: 3 sample_num_axes: 2", [5, 2, 3]),
        ("type: FLOAT_ARRAY channels: 2 sample_num_axes: 1", [5, 2]),
        ("type: FLOAT sample_num_axes: 0", [5]),
    ],
)
def test_a_blob_has_as_many_axes_as_its_top_says(tmp_path: Path, pb: Any, top: str, dims: list[int]) -> None:
    layer = loaded(tmp_path, pb, IMAGE + LABEL + f'top {{ name: "words" {top} }}').train

    assert layer.dims(5)["words"] == dims


def test_labels_are_those_that_the_net_takes_of_each_top(tmp_path: Path, pb: Any) -> None:
    job = loaded(tmp_path, pb)

    job = with_labels(job, [ANY, Labels(4), Labels(9)], [])

    assert [blob.labels for blob in job.train.blobs] == [ANY, Labels(4), Labels(9)]
    assert [blob.labels for blob in job.tests[0].data.blobs] == [ANY] * 3


def test_the_environment_sets_source_and_batch(tmp_path: Path, pb: Any) -> None:
    job = load(write(tmp_path), pb, {"batch": "3", "train_source": "s3a://b/t"})

    assert (job.train.uri, job.train.batch, job.tests[0].data.uri) == ("s3a://b/t", 3, "hdfs:///TEST")


FAULTS = [
    (WORDS, "", "it has 3 tops, and cos_data_param describes 2"),
    ('name: "words"', "", 'top "words" of TRAIN layer "data" in net.prototxt: it has no name'),
    ("sample_num_axes: 1", "sample_num_axes: 4", "sample_num_axes is 4. Give at most 3"),
    ("sample_num_axes: 1", "height: 1 width: 1", "transpose takes samples of one axis"),
    ("channels: 4", "", "channels is 0, and must be at least 1"),
    ("channels: 4", "channels: 4 height: 2", "height is 2, and samples of sample_num_axes: 1 do not have it"),
    ("height: 9", "", "height is 0, and must be at least 1"),
    (
        "height: 9",
        "height: 9 sample_num_axes: 2",
        "its type is ENCODED_IMAGE_WITH_DIM, and sample_num_axes is 2",
    ),
    ("out_height: 7", "", "its blob is 3x9x7, and its records are 3x7x7 after transform_param"),
    ("crop_size: 7", "", "its blob is 3x7x7, and its records are 3x9x8 after transform_param"),
    ("crop_size: 7", "crop_size: 10", "crop_size: 10: the records are 3x9x8"),
    ("transform_param { crop_size: 7 mirror: true }", "", "images require a transformer"),
    ("type: INT channels: 1", "type: INT channels: 2", "its type is INT, which is one value"),
    ('source: "hdfs:///TRAIN"', "", "it has no source"),
    ("batch_size: 5", "", "batch_size is 0"),
    ("batch_size: 5", "batch_size: 5 shuffle: true", "shuffle of TRAIN layer"),
    (
        'source_class: "com.yahoo.ml.caffe.DataFrameSource"',
        "",
        'source_class must be defined. Add source_class: "com.yahoo.ml.caffe.DataFrameSource"',
    ),
    ("caffe.DataFrameSource", "caffe.LMDB", "CoSData and com.yahoo.ml.caffe.DataFrameSource go together"),
    ('type: "CoSData"', 'type: "CoSData" transform_param { scale: 2 }', "no effect on a CoSData layer"),
]


@pytest.mark.parametrize(("old", "new", "words"), FAULTS)
def test_what_a_layer_cannot_have_is_refused_by_name(
    tmp_path: Path, pb: Any, old: str, new: str, words: str
) -> None:
    solver = write(tmp_path)
    net = tmp_path / "net.prototxt"
    text = net.read_text()
    assert old in text
    net.write_text(text.replace(old, new, 1))

    with pytest.raises(Refused) as refused:
        load(solver, pb)

    assert words in str(refused.value)
    assert "faults" not in str(refused.value)


def test_images_are_resized_to_the_size_of_their_column_before_the_crop(tmp_path: Path, pb: Any) -> None:
    job = with_layers(loaded(tmp_path, pb), lambda layer: layer.resized())

    assert [blob.resize for blob in job.train.blobs] == [(9, 8), (), ()]
    assert job.train.blobs[0].shape[1:] == (7, 7)


def test_a_layer_of_images_and_labels_is_resized_unless_its_size_is_that_of_a_record(
    prototxts: Path, pb: Any
) -> None:
    layer = load(prototxts, pb).train

    assert layer.resized().blobs == (layer.blobs[0]._replace(resize=(28, 28)),)
    with pytest.raises(Refused, match='TRAIN layer "data" has the size of its first record'):
        replace(layer, shape=(0, 0, 0)).resized()
