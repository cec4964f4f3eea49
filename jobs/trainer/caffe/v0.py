"""Nets of Caffe's first format (V0), whose layers have a `layer { }` inside, as nets of the second (V1).

As UpgradeV0Net of Caffe 1.0; what that ignores with a warning in the log is refused here.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from jobs.trainer.errors import Refused

_SAME = (
    "accuracy bnll concat data dropout euclidean_loss flatten hdf5_data hdf5_output im2col infogain_loss lrn "
    "multinomial_logistic_loss relu sigmoid softmax softmax_loss split tanh window_data"
)
_TYPES: Dict[str, str] = {name: name.upper() for name in _SAME.split(" ")}
_TYPES.update(conv="CONVOLUTION", images="IMAGE_DATA", innerproduct="INNER_PRODUCT", pool="POOLING")
PADDING = "padding"
"""Type of layers that pad for the convolution or pooling after them."""
_LISTS = ("blobs", "blobs_lr", "weight_decay")
"""Fields of the inner layer that V1 has in the outer one."""
_WEIGHTED = {"conv": "convolution_param", "innerproduct": "inner_product_param"}
_SPATIAL = {"conv": "convolution_param", "pool": "pooling_param"}
_LRN = {"lrn": "lrn_param"}
_IMAGES = {"images": "image_data_param"}
_WINDOWS = {"window_data": "window_data_param"}
_READERS = {"data": "data_param", "hdf5_data": "hdf5_data_param", **_IMAGES, **_WINDOWS}
_TRANSFORM = dict.fromkeys(_TYPES, "transform_param")

_FIELDS: Dict[str, Tuple[Dict[str, str], str]] = {
    "num_output": (_WEIGHTED, "num_output"),
    "biasterm": (_WEIGHTED, "bias_term"),
    "weight_filler": (_WEIGHTED, "weight_filler"),
    "bias_filler": (_WEIGHTED, "bias_filler"),
    "pad": (_SPATIAL, "pad"),
    "kernelsize": (_SPATIAL, "kernel_size"),
    "group": ({"conv": "convolution_param"}, "group"),
    "stride": (_SPATIAL, "stride"),
    "pool": ({"pool": "pooling_param"}, "pool"),
    "dropout_ratio": ({"dropout": "dropout_param"}, "dropout_ratio"),
    "local_size": (_LRN, "local_size"),
    "alpha": (_LRN, "alpha"),
    "beta": (_LRN, "beta"),
    "k": (_LRN, "k"),
    "source": ({**_READERS, "infogain_loss": "infogain_loss_param"}, "source"),
    "batchsize": (_READERS, "batch_size"),
    "scale": (_TRANSFORM, "scale"),
    "meanfile": (_TRANSFORM, "mean_file"),
    "cropsize": (_TRANSFORM, "crop_size"),
    "mirror": (_TRANSFORM, "mirror"),
    "rand_skip": ({"data": "data_param", **_IMAGES}, "rand_skip"),
    "shuffle_images": (_IMAGES, "shuffle"),
    "new_height": (_IMAGES, "new_height"),
    "new_width": (_IMAGES, "new_width"),
    "concat_dim": ({"concat": "concat_param"}, "concat_dim"),
    "det_fg_threshold": (_WINDOWS, "fg_threshold"),
    "det_bg_threshold": (_WINDOWS, "bg_threshold"),
    "det_fg_fraction": (_WINDOWS, "fg_fraction"),
    "det_context_pad": (_WINDOWS, "context_pad"),
    "det_crop_mode": (_WINDOWS, "crop_mode"),
    "hdf5_output_param": ({"hdf5_output": "hdf5_output_param"}, ""),
}
"""Fields of the inner layer: by type the parameter that has them today, and their name in it."""


def is_v0(layer: Any) -> bool:  # noqa: ANN401
    """Return whether an entry of `layers` is of V0."""
    return bool(layer.HasField("layer"))


def v1_of(net: Any, file: str, pb: Any) -> List[Any]:  # noqa: ANN401
    """Return the layers of a net of V0 as layers of V1.

    Raises:
        Refused: a layer's type or field has no meaning.
    """
    padding: Dict[str, Any] = {}
    """Padding layers by their tops."""
    found = []
    for outer in net.layers:
        if outer.layer.type == PADDING:
            padding[outer.top[0]] = outer
            continue
        new = _layer(outer, file, pb)
        for index, bottom in enumerate(outer.bottom):
            if bottom in padding:
                if outer.layer.type not in _SPATIAL:
                    _refuse(outer, file, "padded bottom", bottom)
                new.bottom[index] = padding[bottom].bottom[0]
                _set(new, _SPATIAL[outer.layer.type], "pad", padding[bottom].layer.pad)
        for top in outer.top:
            padding.pop(top, None)
        found.append(new)
    return found


def _layer(outer: Any, file: str, pb: Any) -> Any:  # noqa: ANN401
    inner = outer.layer
    new = pb.V1LayerParameter(name=inner.name, bottom=outer.bottom, top=outer.top)
    if inner.type not in _TYPES:
        _refuse(outer, file, "type", inner.type)
    new.type = new.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_name[_TYPES[inner.type]].number
    for field, value in inner.ListFields():
        if field.name in _LISTS:
            getattr(new, field.name).extend(value)
        elif field.name not in {"name", "type"}:
            params, name = _FIELDS.get(field.name, ({}, ""))
            if inner.type not in params:
                _refuse(outer, file, "field", field.name)
            _set(new, params[inner.type], name, value)
    return new


def _refuse(outer: Any, file: str, what: str, value: str) -> None:  # noqa: ANN401
    raise Refused("net-v0-invalid", file=file, layer=outer.layer.name, what=what, value=value)


def _set(layer: Any, param: str, name: str, value: Any) -> None:  # noqa: ANN401
    message = getattr(layer, param)
    if not name:
        message.CopyFrom(value)
        return
    now = getattr(message, name)
    if hasattr(now, "append"):
        now.append(value)
    elif hasattr(now, "CopyFrom"):
        now.CopyFrom(value)
    else:
        setattr(message, name, value)
