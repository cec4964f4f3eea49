"""Fields of nets and layers: each is honoured, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.caffe import fields
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import Refused
from tests.jobs.trainer import messages
from tests.jobs.trainer.artefact import Caffe

NET = "lenet_memory_train_test.prototxt"
JUDGED = sorted(fields.HONOURED)


def add(solver: Path, text: str, before: str = 'name: "LeNet"') -> None:
    path = solver.parent / NET
    old = path.read_text()
    assert before in old
    path.write_text(old.replace(before, f"{text}\n{before}", 1))


def append(solver: Path, text: str) -> None:
    with (solver.parent / NET).open("a") as file:
        file.write(text)


@pytest.mark.parametrize("message", JUDGED)
def test_every_field_of_a_net_is_judged_once(pb: Any, message: str) -> None:
    known = set(getattr(pb, message).DESCRIPTOR.fields_by_name)

    assert known == fields.HONOURED[message] | set(fields.REFUSED[message])
    assert not fields.HONOURED[message] & set(fields.REFUSED[message])


FIELDS = """
import json
from caffe.proto import caffe_pb2
found = dict(caffe_pb2.DESCRIPTOR.message_types_by_name)
found.update(found["CoSDataParameter"].nested_types_by_name)
print(json.dumps({name: {one.name: one.number for one in found[name].fields} for name in found}))
"""


def test_the_stand_in_for_caffes_messages_has_caffes_fields(pb: Any, caffe: Caffe) -> None:
    compiled = json.loads(caffe.result(FIELDS))
    ours = {
        name: {field.name: field.number for field in getattr(pb, name).DESCRIPTOR.fields}
        for name in messages.MESSAGES
        if name != "AnyParameter"
    }

    assert [name for name, known in ours.items() if not known.items() <= compiled[name].items()] == []
    complete = [*JUDGED, "SolverParameter", "V0LayerParameter", "V1LayerParameter"]
    assert [name for name in complete if ours[name] != compiled[name]] == []


@pytest.mark.parametrize(
    ("message", "text", "before"),
    [
        ("NetParameter", "newest: true", 'name: "LeNet"'),
        ("LayerParameter", "newest: true", 'type: "MemoryData"'),
        ("MemoryDataParameter", "newest: true", "batch_size: 64"),
        ("TransformationParameter", "newest: true", "scale: 0.00390625"),
    ],
)
def test_a_field_of_a_newer_caffe_is_refused_by_name(
    prototxts: Path, monkeypatch: pytest.MonkeyPatch, message: str, text: str, before: str
) -> None:
    more = [*messages.MESSAGES[message], ("newest", 5000, "bool")]
    monkeypatch.setitem(messages.MESSAGES, message, more)
    add(prototxts, text, before)

    with pytest.raises(Refused, match=f"newest of .*: this field of {message} is not supported"):
        load(prototxts, messages.build())


REFUSED = [
    (
        'layer { type: "HDF5Output" bottom: "ip2" hdf5_output_param { file_name: "f" } }',
        "hdf5_output_param of",
    ),
    (
        'layer { name: "i" type: "InfogainLoss" bottom: "ip2" bottom: "label" '
        'infogain_loss_param { source: "h.binaryproto" } }',
        "infogain_loss_param.source of layer",
    ),
]


@pytest.mark.parametrize(("layer", "words"), REFUSED)
def test_files_that_ranks_would_read_or_write_in_their_own_folders_are_refused(
    prototxts: Path, pb: Any, layer: str, words: str
) -> None:
    append(prototxts, layer)

    with pytest.raises(Refused) as refused:
        load(prototxts, pb)

    # Both phases have the layer: it is told once.
    assert str(refused.value).count(words) == 1
    assert "faults" not in str(refused.value)


def test_an_absolute_path_of_a_layer_is_every_nodes_own(prototxts: Path, pb: Any) -> None:
    append(prototxts, REFUSED[1][0].replace("h.binaryproto", "/data/h.binaryproto"))

    assert "/data/h.binaryproto" in load(prototxts, pb).train_net


@pytest.mark.parametrize(("phase", "refused"), [("TEST", True), ("TRAIN", False)])
def test_the_data_layer_has_the_phase_of_its_net(prototxts: Path, pb: Any, phase: str, refused: bool) -> None:
    add(prototxts, f"phase: {phase}", "include { phase: TRAIN }")

    if not refused:
        assert load(prototxts, pb).train.batch == 64
        return
    with pytest.raises(Refused, match=r'phase of TRAIN layer "data" in .*: records are transformed as'):
        load(prototxts, pb)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("scale: 0.5", "scale of TRAIN layer"),
        ('mean_file: "m"', "mean_file of TRAIN layer"),
        ("crop_size: 7", "crop_size of TRAIN layer"),
        ("mirror: true", "mirror of TRAIN layer"),
        ("rand_skip: 5", "rand_skip of TRAIN layer"),
    ],
)
def test_what_caffe_ignores_in_a_data_layer_is_refused(
    prototxts: Path, pb: Any, field: str, words: str
) -> None:
    add(prototxts, f'data_param {{ {field} }} type: "Data"', "include { phase: TRAIN }")
    path = prototxts.parent / NET
    path.write_text(path.read_text().replace('type: "MemoryData"', "", 1))

    with pytest.raises(Refused) as refused:
        load(prototxts, pb)

    assert words in str(refused.value)


def test_debug_info_of_a_net_has_no_effect_as_in_caffes_solver(prototxts: Path, pb: Any) -> None:
    add(prototxts, "debug_info: true")

    job = load(prototxts, pb)

    assert "debug_info" not in job.train_net + job.tests[0].net


COLUMNS_LAYER = """
layer { name: "data" type: "CoSData" top: "data" top: "label"
  source_class: "com.yahoo.ml.caffe.DataFrameSource" cos_data_param { source: "s" batch_size: 4
    top { name: "data" type: RAW_IMAGE channels: 1 height: 4 width: 4 transform_param { } }
    top { name: "label" channels: 1 height: 1 width: 1 sample_num_axes: 0 } } %s }
layer { name: "loss" type: "EuclideanLoss" bottom: "data" bottom: "data" top: "loss" }
"""


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        ("", ""),
        ("memory_data_param { source: 'other' batch_size: 7 }", "memory_data_param"),
        ("data_param { source: 'other' batch_size: 7 }", "data_param"),
        ("image_data_param { source: 'other' }", "image_data_param"),
    ],
)
def test_a_layer_of_columns_has_no_other_layers_parameters(
    prototxts: Path, pb: Any, layer: str, field: str
) -> None:
    (prototxts.parent / NET).write_text(COLUMNS_LAYER % layer)

    if not field:
        assert load(prototxts, pb).train.batch == 4
        return
    with pytest.raises(Refused, match=f"{field} of .*: a layer of type CoSData reads cos_data_param alone"):
        load(prototxts, pb)


@pytest.mark.parametrize("kind", ["MemoryData", "Data"])
def test_a_layer_of_caffes_own_has_no_other_layers_parameters(prototxts: Path, pb: Any, kind: str) -> None:
    own = 'data_param { source: "l" batch_size: 2 backend: LMDB }' if kind == "Data" else ""
    add(prototxts, f'{own} cos_data_param {{ source: "other" }} type: "{kind}"', "include { phase: TRAIN }")
    path = prototxts.parent / NET
    text = path.read_text().replace('type: "MemoryData"', "", 1)
    path.write_text(text)

    with pytest.raises(Refused, match=f"cos_data_param of .*: a layer of type {kind} reads"):
        load(prototxts, pb)


@pytest.mark.parametrize(
    "field", ['dataframe_column_select: "a as b"', 'dataframe_format: "json"', "image_encoded: true"]
)
@pytest.mark.parametrize(
    ("source_class", "refused"), [("LMDB", True), ("SeqImageDataSource", True), ("ImageDataFrame", False)]
)
def test_fields_of_frames_are_refused_where_the_source_is_none(
    prototxts: Path, pb: Any, field: str, source_class: str, refused: bool
) -> None:
    path = prototxts.parent / NET
    text = path.read_text().replace("caffe.LMDB", f"caffe.{source_class}")
    path.write_text(text.replace("batch_size: 64", f"batch_size: 64 {field}"))

    if not refused:
        assert load(prototxts, pb).train.batch == 64
        return
    with pytest.raises(Refused) as error:
        load(prototxts, pb)
    assert "com.yahoo.ml.caffe.ImageDataFrame alone reads it" in str(error.value)
    assert field.partition(":")[0] in str(error.value)


def test_defaults_of_fields_of_frames_have_no_effect_and_are_accepted(prototxts: Path, pb: Any) -> None:
    path = prototxts.parent / NET
    defaults = 'dataframe_format: "parquet" image_encoded: false'
    path.write_text(path.read_text().replace("batch_size: 64", f"batch_size: 64 {defaults}"))

    assert load(prototxts, pb).train.batch == 64
