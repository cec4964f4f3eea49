"""Nets for pycaffe: with an Input layer in place of the data layer."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format

from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.caffe.nets import PhaseNet

_OF_DATA = ("memory_data_param", "data_param", "cos_data_param", "transform_param", "source_class")


def native_net(net: PhaseNet, source: DataLayer) -> str:
    """Return the text of a net that is fed with the batches of `source`."""
    native = type(net.net)()
    native.CopyFrom(net.net)
    layer = native.layer[0]
    layer.type = "Input"
    for name in _OF_DATA:
        layer.ClearField(name)
    if len(layer.top) < len(source.tops):
        # Without a reader, labels would be an output of the net.
        layer.top.append(source.tops[1])
        native.layer.add(name=source.tops[1], type="Silence", bottom=[source.tops[1]])
    _shape(layer, source)
    return str(text_format.MessageToString(native))


def reshaped(text: str, source: DataLayer, pb: Any) -> str:  # noqa: ANN401
    """Return such a net with the shape that `source` has now."""
    net = text_format.Parse(text, pb.NetParameter())
    _shape(net.layer[0], source)
    return str(text_format.MessageToString(net))


def _shape(layer: Any, source: DataLayer) -> None:  # noqa: ANN401
    layer.input_param.Clear()
    for dims in source.dims(source.batch).values():
        layer.input_param.shape.add().dim.extend(dims)
