"""Stand-in for caffe_pb2, with the messages that the trainer reads: the operator's machine has no Caffe.

Built from tables, with Caffe's field numbers, so that bytes written here are what Caffe would write.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.jobs.trainer import layer_messages

_SCALARS = {"int32": 5, "int64": 3, "uint32": 13, "float": 2, "bool": 8, "string": 9, "bytes": 12}
_REPEATED, _OPTIONAL = 3, 1

MESSAGES = {
    "BlobShape": [("dim", 1, "int64*")],
    "BlobProto": [
        ("shape", 7, "BlobShape"),
        ("data", 5, "float*"),
        ("num", 1, "int32"),
        ("channels", 2, "int32"),
        ("height", 3, "int32"),
        ("width", 4, "int32"),
    ],
    "Datum": [
        ("channels", 1, "int32"),
        ("height", 2, "int32"),
        ("width", 3, "int32"),
        ("data", 4, "bytes"),
        ("label", 5, "int32"),
        ("float_data", 6, "float*"),
        ("encoded", 7, "bool"),
    ],
    "NetStateRule": [
        ("phase", 1, "Phase"),
        ("min_level", 2, "int32"),
        ("max_level", 3, "int32"),
        ("stage", 4, "string*"),
        ("not_stage", 5, "string*"),
    ],
    "SoftmaxParameter": [("axis", 2, "int32=1")],
    "AccuracyParameter": [("top_k", 1, "uint32=1"), ("axis", 2, "int32=1"), ("ignore_label", 3, "int32")],
    "InfogainLossParameter": [("source", 1, "string"), ("axis", 2, "int32=1")],
    "LossParameter": [("ignore_label", 1, "int32")],
    "NetState": [("phase", 1, "Phase=1"), ("level", 2, "int32"), ("stage", 3, "string*")],
    "TransformationParameter": [
        ("scale", 1, "float=1"),
        ("mirror", 2, "bool"),
        ("crop_size", 3, "uint32"),
        ("mean_file", 4, "string"),
        ("mean_value", 5, "float*"),
        ("force_color", 6, "bool"),
        ("force_gray", 7, "bool"),
    ],
    "MemoryDataParameter": [
        ("batch_size", 1, "uint32"),
        ("channels", 2, "uint32"),
        ("height", 3, "uint32"),
        ("width", 4, "uint32"),
        ("share_in_parallel", 10000, "bool=1"),
        ("source", 10001, "string"),
        ("dataframe_column_select", 10002, "string*"),
        ("image_encoded", 10003, "bool"),
        ("dataframe_format", 10004, "string=parquet"),
    ],
    "InputParameter": [("shape", 1, "BlobShape*")],
    "ParamSpec": [
        ("name", 1, "string"),
        ("share_mode", 2, "DimCheckMode"),
        ("lr_mult", 3, "float=1"),
        ("decay_mult", 4, "float=1"),
    ],
    "FillerParameter": [("type", 1, "string"), ("std", 6, "float")],
    "ConvolutionParameter": [
        ("num_output", 1, "uint32"),
        ("bias_term", 2, "bool=1"),
        ("pad", 3, "uint32*"),
        ("group", 5, "uint32=1"),
        ("kernel_size", 4, "uint32*"),
        ("stride", 6, "uint32*"),
        ("weight_filler", 7, "FillerParameter"),
        ("bias_filler", 8, "FillerParameter"),
    ],
    "InnerProductParameter": [
        ("num_output", 1, "uint32"),
        ("bias_term", 2, "bool=1"),
        ("weight_filler", 3, "FillerParameter"),
        ("bias_filler", 4, "FillerParameter"),
    ],
    "PoolingParameter": [
        ("pool", 1, "PoolMethod"),
        ("kernel_size", 2, "uint32"),
        ("stride", 3, "uint32"),
        ("pad", 4, "uint32"),
    ],
    "LayerParameter": [
        ("name", 1, "string"),
        ("type", 2, "string"),
        ("bottom", 3, "string*"),
        ("top", 4, "string*"),
        ("loss_weight", 5, "float*"),
        ("phase", 10, "Phase"),
        ("propagate_down", 11, "bool*"),
        ("param", 6, "ParamSpec*"),
        ("include", 8, "NetStateRule*"),
        ("exclude", 9, "NetStateRule*"),
        ("transform_param", 100, "TransformationParameter"),
        ("loss_param", 101, "LossParameter"),
        ("accuracy_param", 102, "AccuracyParameter"),
        ("infogain_loss_param", 116, "InfogainLossParameter"),
        ("softmax_param", 125, "SoftmaxParameter"),
        ("convolution_param", 106, "ConvolutionParameter"),
        ("inner_product_param", 117, "InnerProductParameter"),
        ("memory_data_param", 119, "MemoryDataParameter"),
        ("pooling_param", 121, "PoolingParameter"),
        ("input_param", 143, "InputParameter"),
        ("blobs", 7, "BlobProto*"),
        ("source_class", 10001, "string"),
        *layer_messages.PARAMS,
    ],
    **layer_messages.MESSAGES,
    "SolverState": [("iter", 1, "int32"), ("learned_net", 2, "string"), ("history", 3, "BlobProto*")],
    "NetParameter": [
        ("name", 1, "string"),
        ("input", 3, "string*"),
        ("input_dim", 4, "int32*"),
        ("force_backward", 5, "bool"),
        ("input_shape", 8, "BlobShape*"),
        ("layer", 100, "LayerParameter*"),
        ("layers", 2, "V1LayerParameter*"),
        ("state", 6, "NetState"),
        ("debug_info", 7, "bool"),
    ],
    "SolverParameter": [
        ("net", 24, "string"),
        ("net_param", 25, "NetParameter"),
        ("train_net", 1, "string"),
        ("test_net", 2, "string*"),
        ("train_net_param", 21, "NetParameter"),
        ("test_net_param", 22, "NetParameter*"),
        ("train_state", 26, "NetState"),
        ("test_state", 27, "NetState*"),
        ("test_iter", 3, "int32*"),
        ("test_interval", 4, "int32"),
        ("test_compute_loss", 19, "bool"),
        ("test_initialization", 32, "bool=1"),
        ("base_lr", 5, "float"),
        ("display", 6, "int32"),
        ("average_loss", 33, "int32=1"),
        ("max_iter", 7, "int32"),
        ("iter_size", 36, "int32=1"),
        ("lr_policy", 8, "string"),
        ("gamma", 9, "float"),
        ("power", 10, "float"),
        ("momentum", 11, "float"),
        ("weight_decay", 12, "float"),
        ("regularization_type", 29, "string=L2"),
        ("stepsize", 13, "int32"),
        ("stepvalue", 34, "int32*"),
        ("clip_gradients", 35, "float=-1"),
        ("snapshot", 14, "int32"),
        ("snapshot_prefix", 15, "string"),
        ("snapshot_diff", 16, "bool"),
        ("snapshot_format", 37, "SnapshotFormat=1"),
        ("solver_mode", 17, "SolverMode=1"),
        ("device_id", 18, "int32"),
        ("random_seed", 20, "int64=-1"),
        ("type", 40, "string=SGD"),
        ("delta", 31, "float=1e-08"),
        ("momentum2", 39, "float=0.999"),
        ("rms_decay", 38, "float=0.99"),
        ("debug_info", 23, "bool"),
        ("snapshot_after_train", 28, "bool=1"),
        ("solver_type", 30, "SolverType"),
        ("layer_wise_reduce", 41, "bool=1"),
        ("weights", 42, "string*"),
    ],
}
ENUMS = {
    "Phase": {"TRAIN": 0, "TEST": 1},
    "SolverMode": {"CPU": 0, "GPU": 1},
    "SnapshotFormat": {"HDF5": 0, "BINARYPROTO": 1},
    "SolverType": {"SGD": 0, "NESTEROV": 1, "ADAGRAD": 2, "RMSPROP": 3, "ADADELTA": 4, "ADAM": 5},
    "PoolMethod": {"MAX": 0, "AVE": 1, "STOCHASTIC": 2},
    **layer_messages.ENUMS,
}


def build() -> Any:
    """Return a stand-in for the module caffe_pb2."""
    file = descriptor_pb2.FileDescriptorProto(name="messages.proto", package="double", syntax="proto2")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            _add_field(message, field_name, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"double.{name}"))
        for name in MESSAGES
    }
    for value, number in {**ENUMS["SolverMode"], **ENUMS["SnapshotFormat"]}.items():
        setattr(classes["SolverParameter"], value, number)
    return SimpleNamespace(**classes, **ENUMS["Phase"])


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    kind, _, default = kind.partition("=")
    label = _REPEATED if kind.endswith("*") else _OPTIONAL
    kind = kind.rstrip("*")
    field = message.field.add(name=name, number=number, label=label)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = 14 if kind in ENUMS else 11
        field.type_name = f".double.{kind}"
    if default and kind in ENUMS:
        field.default_value = next(text for text, value in ENUMS[kind].items() if value == int(default))
    elif default:
        field.default_value = ("false", "true")[int(default)] if kind == "bool" else default
