"""Nets of old formats, upgraded as Caffe itself upgrades them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from jobs.trainer.caffe.upgrade import upgraded
from jobs.trainer.errors import Refused
from tests.jobs.trainer.artefact import Caffe
from tests.jobs.trainer.layer_messages import ENUMS

V1 = """
name: "v1"
input: "data" input_dim: 2 input_dim: 3 input_dim: 12 input_dim: 12
input: "label" input_dim: 2 input_dim: 1 input_dim: 1 input_dim: 1
layers {
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 1 weight_filler { type: "xavier" } }
}
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers {
  name: "pool" type: POOLING bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 }
}
layers {
  name: "one" type: INNER_PRODUCT bottom: "pool" top: "one" param: "w" param: "b"
  inner_product_param { num_output: 5 }
}
layers {
  name: "two" type: INNER_PRODUCT bottom: "pool" top: "two" param: "w" param: "b"
  blob_share_mode: PERMISSIVE blob_share_mode: STRICT
  inner_product_param { num_output: 5 }
}
layers { name: "gone" type: SILENCE bottom: "two" include { phase: TRAIN } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "one" bottom: "label" top: "loss" loss_weight: 0.5 }
"""
V0 = """
name: "v0"
input: "data" input_dim: 2 input_dim: 3 input_dim: 12 input_dim: 12
layers { layer { name: "padding" type: "padding" pad: 1 } bottom: "data" top: "padded" }
layers {
  layer {
    name: "conv" type: "conv" num_output: 4 kernelsize: 3 stride: 1 group: 1 biasterm: false
    weight_filler { type: "xavier" } blobs_lr: 1 weight_decay: 1
  }
  bottom: "padded" top: "conv"
}
layers { layer { name: "relu" type: "relu" } bottom: "conv" top: "conv" }
layers {
  layer { name: "norm" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "conv" top: "norm"
}
layers { layer { name: "pool" type: "pool" pool: MAX kernelsize: 2 stride: 2 } bottom: "norm" top: "pool" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.3 } bottom: "pool" top: "drop" }
layers { layer { name: "ip" type: "innerproduct" num_output: 5 } bottom: "drop" top: "ip" }
layers { layer { name: "ip5" type: "innerproduct" num_output: 5 } bottom: "drop" top: "ip5" }
layers { layer { name: "both" type: "concat" concat_dim: 1 } bottom: "ip" bottom: "ip5" top: "both" }
"""
INPUT_SHAPE = """
name: "i"
input: "a" input_shape { dim: 2 dim: 3 } input: "b" input_shape { dim: 4 }
layer { name: "ip" type: "InnerProduct" bottom: "a" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "s" type: "Silence" bottom: "b" }
"""
BOTH = """
import json, sys
import caffe
from caffe.proto import caffe_pb2 as pb
from google.protobuf import text_format
from jobs.trainer.caffe.upgrade import upgraded

net = text_format.Parse(open(sys.argv[1]).read(), pb.NetParameter())
with open(sys.argv[2], "w") as file:
    file.write(text_format.MessageToString(upgraded(net, "n", pb)))
found = []
for name in sys.argv[1:3]:
    for phase in (caffe.TRAIN, caffe.TEST):
        net = caffe.Net(name, phase)
        net.save(sys.argv[2] + ".saved")
        saved = pb.NetParameter.FromString(open(sys.argv[2] + ".saved", "rb").read())
        for layer in saved.layer:
            layer.ClearField("blobs")
        found.append([str(saved), {name: list(blob.shape) for name, blob in net.blobs.items()}])
print(json.dumps([found[:2], found[2:]]))
"""


@pytest.mark.parametrize("text", [V1, V0, INPUT_SHAPE], ids=["V1", "V0", "input_shape"])
def test_caffe_builds_the_same_net_of_the_old_format_and_of_the_new(
    caffe: Caffe, tmp_path: Path, text: str
) -> None:
    old = tmp_path / "old.prototxt"
    old.write_text(text)

    by_caffe, by_us = json.loads(caffe.result(BOTH, str(old), str(tmp_path / "new.prototxt")))

    assert by_us == by_caffe
    assert len(by_us[0][1]) >= 3


def parsed(text: str, pb: Any) -> Any:
    return upgraded(text_format.Parse(text, pb.NetParameter()), "n.prototxt", pb)


def test_layers_of_v1_are_todays(pb: Any) -> None:
    net = parsed(V1, pb)
    layers = {layer.name: layer for layer in net.layer}

    assert not net.layers
    assert [layer.type for layer in net.layer] == [
        "Input",
        "Convolution",
        "ReLU",
        "Pooling",
        "InnerProduct",
        "InnerProduct",
        "Silence",
        "SoftmaxWithLoss",
    ]
    assert [(one.lr_mult, one.decay_mult) for one in layers["conv"].param] == [(1, 1), (2, 0)]
    assert [(one.name, one.share_mode) for one in layers["two"].param] == [("w", 1), ("b", 0)]
    assert list(layers["conv"].convolution_param.kernel_size) == [3]
    assert list(layers["loss"].loss_weight) == [0.5]
    assert layers["gone"].include[0].phase == 0


def test_layers_of_v0_are_todays(pb: Any) -> None:
    layers = {layer.name: layer for layer in parsed(V0, pb).layer}
    conv = layers["conv"]

    assert "padding" not in layers
    assert (conv.type, list(conv.bottom), list(conv.top)) == ("Convolution", ["data"], ["conv"])
    convolution = conv.convolution_param
    assert [list(convolution.pad), list(convolution.kernel_size), list(convolution.stride)] == [[1], [3], [1]]
    assert (convolution.num_output, convolution.bias_term) == (4, False)
    assert convolution.weight_filler.type == "xavier"
    assert [(one.lr_mult, one.decay_mult) for one in conv.param] == [(1, 1)]
    assert (layers["pool"].pooling_param.kernel_size, layers["pool"].pooling_param.stride) == (2, 2)
    assert layers["norm"].lrn_param.k == 2
    assert layers["drop"].dropout_param.dropout_ratio == pytest.approx(0.3)
    written = 'layers { layer { name: "o" type: "hdf5_output" hdf5_output_param { file_name: "f" } } }'
    assert parsed(written, pb).layer[0].hdf5_output_param.file_name == "f"


def test_a_bottom_that_was_padded_and_written_again_is_padded_no_more(pb: Any) -> None:
    text = """
    layers { layer { name: "p" type: "padding" pad: 2 } bottom: "data" top: "x" }
    layers { layer { name: "a" type: "conv" kernelsize: 3 } bottom: "y" bottom: "x" top: "x" }
    layers { layer { name: "b" type: "conv" kernelsize: 3 } bottom: "x" top: "z" }
    """
    first, second = parsed(text, pb).layer

    assert (list(first.bottom), list(first.convolution_param.pad)) == (["y", "data"], [2])
    assert (list(second.bottom), list(second.convolution_param.pad)) == (["x"], [])


def test_every_type_of_v1_is_one_of_today(pb: Any) -> None:
    names = {name: parsed(f"layers {{ type: {name} }}", pb).layer[0].type for name in ENUMS["LayerType"]}

    assert names["SIGMOID_CROSS_ENTROPY_LOSS"] == "SigmoidCrossEntropyLoss"
    assert (names["ABSVAL"], names["HDF5_DATA"], names["IM2COL"]) == ("AbsVal", "HDF5Data", "Im2col")
    assert names["NONE"] == ""
    assert len(set(names.values())) == len(names)


TYPES = """
import json, sys, caffe
print(json.dumps(list(caffe.layer_type_list())))
"""


def test_every_type_of_v1_is_one_that_caffe_has(pb: Any, caffe: Caffe) -> None:
    names = {parsed(f"layers {{ type: {name} }}", pb).layer[0].type for name in ENUMS["LayerType"]}

    assert names - {""} <= set(json.loads(caffe.result(TYPES)))


def test_a_data_layers_transformations_move_to_transform_param(pb: Any) -> None:
    text = (
        'layers { type: DATA data_param { source: "s" scale: 0.5 mean_file: "m" crop_size: 7 mirror: true } }'
    )

    layer = parsed(text, pb).layer[0]

    transform = layer.transform_param
    assert (transform.scale, transform.mean_file, transform.crop_size, transform.mirror) == (
        0.5,
        "m",
        7,
        True,
    )
    assert str(layer.data_param).strip() == 'source: "s"'


def test_inputs_become_a_layer_at_the_start_and_without_shapes_nothing(pb: Any) -> None:
    first = parsed(INPUT_SHAPE, pb).layer[0]

    assert (first.type, list(first.top)) == ("Input", ["a", "b"])
    assert [list(shape.dim) for shape in first.input_param.shape] == [[2, 3], [4]]
    assert len(parsed('input: "data" layer { name: "a" }', pb).layer) == 1


def test_inputs_of_the_oldest_format_have_four_numbers_each(pb: Any) -> None:
    dims = " ".join(f"input_dim: {number}" for number in range(1, 9))

    [layer] = parsed(f'input: "a" input: "b" {dims}', pb).layer

    assert [list(shape.dim) for shape in layer.input_param.shape] == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer {} layers {}", "both `layer` and `layers`"),
        ('input: "a" input: "b" input_shape { dim: 1 }', "its inputs (a, b) have too few shapes"),
        ('input: "a" input_dim: 1 input_dim: 1', "its inputs (a) have too few shapes"),
        ('layers { layer { name: "x" type: "spline" } }', "its type 'spline' has no meaning"),
        (
            'layers { layer { name: "x" type: "relu" kernelsize: 3 } }',
            "its field 'kernelsize' has no meaning",
        ),
        (
            'layers { layer { type: "padding" pad: 1 } bottom: "a" top: "b" } '
            'layers { layer { name: "x" type: "relu" } bottom: "b" top: "c" }',
            "its padded bottom 'b' has no meaning",
        ),
    ],
)
def test_what_caffe_aborts_for_or_leaves_out_with_a_warning_is_refused(
    pb: Any, text: str, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        parsed(text, pb)

    assert words in str(refused.value)
