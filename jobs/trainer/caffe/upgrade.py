"""Nets of old formats, upgraded as Caffe's upgrade_proto.cpp does when it reads them.

`layers { }` (V1) becomes `layer { }`, `input` with its shapes becomes an Input layer. Layers of V0, which
have `layer { }` inside, become V1 first (`v0`). Old BatchNorm layers are upgraded by Caffe itself.
"""

from __future__ import annotations

from typing import Any, Dict

from jobs.trainer.caffe.v0 import is_v0, v1_of
from jobs.trainer.errors import Refused

_TYPES: Dict[str, str] = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
"""Types of V1 whose name is not that of the enum in title case."""
_SPECS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
"""Fields of V1 by parameter, and the fields of ParamSpec that they become."""
_READERS = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
MOVED = ("scale", "mean_file", "crop_size", "mirror")
"""Fields of data layers that transform_param has today."""
_DIMS = 4
"""Numbers of `input_dim` by input."""


def upgraded(net: Any, file: str, pb: Any) -> Any:  # noqa: ANN401
    """Return a NetParameter in today's format.

    Raises:
        Refused: Caffe would abort for the mixture of formats, or the shapes of inputs are missing.
    """
    new = pb.NetParameter()
    new.CopyFrom(net)
    if len(net.layers) and len(net.layer):
        raise Refused("net-formats-mixed", file=file)
    old = v1_of(net, file, pb) if any(is_v0(layer) for layer in net.layers) else net.layers
    new.ClearField("layers")
    for layer in old:
        _add(new.layer.add(), layer)
    _inputs(new, file, pb)
    return new


def _add(new: Any, v1: Any) -> None:  # noqa: ANN401
    """Fill a layer from one of V1."""
    kind = str(v1.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[v1.type].name)
    for field, value in v1.ListFields():
        if field.name == "type":
            new.type = _TYPES.get(kind, kind.title().replace("_", ""))
        elif field.name in _SPECS:
            for index, one in enumerate(value):
                while len(new.param) <= index:
                    new.param.add()
                setattr(new.param[index], _SPECS[field.name], one)
        else:
            put(new, field.name, value)
    if kind in _READERS:
        _move(getattr(new, _READERS[kind]), new.transform_param)


def put(message: Any, name: str, value: Any) -> None:  # noqa: ANN401
    """Set a field of any kind to a value of the same field of another message."""
    now = getattr(message, name)
    if hasattr(now, "extend"):
        now.extend(value)
    elif hasattr(now, "CopyFrom"):
        now.CopyFrom(value)
    else:
        setattr(message, name, value)


def _move(param: Any, transform: Any) -> None:  # noqa: ANN401
    for name in MOVED:
        if param.HasField(name):
            setattr(transform, name, getattr(param, name))
            param.ClearField(name)


def _inputs(net: Any, file: str, pb: Any) -> None:  # noqa: ANN401
    """Turn `input` into an Input layer at the start; without shapes, as in models, it has no meaning."""
    names, shapes, dims = list(net.input), list(net.input_shape), list(net.input_dim)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)
    if not names or not (shapes or dims):
        return
    if len(shapes or dims) < len(names) * (1 if shapes else _DIMS):
        raise Refused("net-input-shapeless", file=file, inputs=", ".join(names))
    layer = pb.LayerParameter(name="input", type="Input", top=names)
    for index in range(len(names)):
        shape = layer.input_param.shape.add()
        shape.dim.extend(shapes[index].dim if shapes else dims[_DIMS * index : _DIMS * (index + 1)])
    rest = list(net.layer)
    del net.layer[:]
    net.layer.extend([layer, *rest])
