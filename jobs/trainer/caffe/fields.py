"""Judgement of nets and layers: each field is honoured, or refused by name.

Fields are those of Caffe 1.0's caffe.proto with CaffeOnSpark's. A parameter of a layer type, such as
convolution_param, is read by that layer's own code in Caffe; those of data layers are judged field by field,
since the trainer reads the records.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Dict, FrozenSet

from jobs.trainer.caffe.cosdata import TYPE
from jobs.trainer.caffe.nets import PhaseNet
from jobs.trainer.caffe.upgrade import MOVED
from jobs.trainer.errors import Refusals
from jobs.trainer.sources.registry import FRAME


def _set(groups: Dict[str, str]) -> FrozenSet[str]:
    return frozenset(name for names in groups.values() for name in names.split(" "))


HONOURED: Dict[str, FrozenSet[str]] = {
    "NetParameter": _set(
        {
            "by Caffe": "name layer force_backward",
            "selects layers": "state",
            "of old formats, upgraded as Caffe does": "layers input input_shape input_dim",
            "without effect, since a solver sets its own": "debug_info",
        }
    ),
    "LayerParameter": _set(
        {
            "by Caffe": "name type bottom top loss_weight param blobs propagate_down phase",
            "select layers": "include exclude",
            "of the data layer": "source_class cos_data_param transform_param data_param memory_data_param "
            "hdf5_data_param image_data_param window_data_param input_param",
            "by the layer's own code in Caffe": "loss_param accuracy_param argmax_param batch_norm_param "
            "bias_param clip_param concat_param contrastive_loss_param convolution_param crop_param "
            "dropout_param dummy_data_param eltwise_param elu_param embed_param exp_param flatten_param "
            "hinge_loss_param infogain_loss_param inner_product_param log_param lrn_param mvn_param "
            "parameter_param pooling_param power_param prelu_param python_param recurrent_param "
            "reduction_param relu_param reshape_param scale_param sigmoid_param slice_param softmax_param "
            "spp_param swish_param tanh_param threshold_param tile_param",
        }
    ),
    "MemoryDataParameter": _set(
        {
            "of the data layer": "source batch_size channels height width",
            "of ImageDataFrame alone": "dataframe_column_select dataframe_format image_encoded",
            "always false, as in CaffeOnSpark": "share_in_parallel",
        }
    ),
    "TransformationParameter": _set(
        {
            "of the data layer": "scale mean_value mean_file crop_size mirror",
            "of encoded images": "force_color force_gray",
        }
    ),
    "CoSDataParameter": _set({"of the data layer": "source batch_size dataframe_format top"}),
    "Top": _set(
        {
            "of a column": "name type channels height width",
            "of its blob": "out_channels out_height out_width sample_num_axes transform_param transpose",
        }
    ),
    "DataParameter": _set(
        {"of the data layer": "source batch_size backend force_encoded_color", "reads ahead": "prefetch"}
    ),
}
"""Fields by message."""
REFUSED: Dict[str, Dict[str, str]] = {
    "NetParameter": {},
    "LayerParameter": {"hdf5_output_param": "every rank would write the file, on its own node"},
    "MemoryDataParameter": {},
    "TransformationParameter": {},
    "CoSDataParameter": {"shuffle": "records keep the order of the source, as in CaffeOnSpark"},
    "Top": {},
    "DataParameter": {
        "rand_skip": "all ranks read the source from its start",
        **dict.fromkeys(MOVED, "Caffe ignores it here; transform_param has it"),
    },
}
"""Fields that are refused where they are set to something else than their default, with the reason."""
_OWN = {"Data": "data_param", "MemoryData": "memory_data_param", TYPE: "cos_data_param"}
"""Parameter of a data layer, by its type."""
_OTHERS = (
    *_OWN.values(),
    *("dummy_data_param", "hdf5_data_param", "image_data_param", "input_param", "window_data_param"),
)
OF_FRAMES = ("dataframe_column_select", "dataframe_format", "image_encoded")
"""Fields of memory_data_param that ImageDataFrame alone reads."""


def judge_net(net: PhaseNet, faults: Refusals) -> None:
    """Add the fields of a phase's net, and of its layers, that cannot be honoured."""
    file = net.path.name
    _judge(net.net, "the net", file, faults)
    for layer in net.net.layer:
        where = 'layer "{}"'.format(layer.name)
        _judge(layer, where, file, faults)
        source = layer.infogain_loss_param.source
        if source and not PurePosixPath(source).is_absolute():
            faults.refuse(
                "net-field-refused",
                file=file,
                where=where,
                field="infogain_loss_param.source",
                reason="ranks look for the file in folders of their own",
                fix="Give an absolute path, of a file that is on every node.",
            )


def judge_data(layer: Any, net: PhaseNet, faults: Refusals, pb: Any) -> None:  # noqa: ANN401
    """Add the fields of a phase's data layer that cannot be honoured."""
    file = net.path.name
    where = '{} layer "{}"'.format(net.phase, layer.name)
    _judge(layer.transform_param, where, file, faults)
    if layer.type == TYPE:
        _judge(layer.cos_data_param, where, file, faults)
        for top in layer.cos_data_param.top:
            _judge(top, where, file, faults)
            _judge(top.transform_param, where, file, faults)
        if layer.HasField("transform_param"):
            reason = "it has no effect on a CoSData layer, whose tops have their own"
            move = "Move it into the tops of cos_data_param that are images."
            faults.refuse(
                "net-field-refused", file=file, where=where, field="transform_param", reason=reason, fix=move
            )
    else:
        _judge(layer.data_param if layer.type == "Data" else layer.memory_data_param, where, file, faults)
    _judge_readers(layer, where, file, faults)
    if layer.HasField("phase") and layer.phase != getattr(pb, net.phase):
        faults.refuse(
            "net-field-refused",
            file=file,
            where=where,
            field="phase",
            reason="records are transformed as the net's phase does",
            fix="Remove it; `include { phase: … }` selects the layer.",
        )


def _judge_readers(layer: Any, where: str, file: str, faults: Refusals) -> None:  # noqa: ANN401
    """Add what a data layer has of another type's parameters, or of another source's fields."""
    own = _OWN.get(layer.type)
    if own is None:
        return
    unread = {}
    for field, value in layer.ListFields():
        if field.name in _OTHERS and field.name != own:
            unread[field.name] = "a layer of type {} reads {} alone".format(layer.type, own)
        elif field.name == own == "memory_data_param" and layer.source_class != FRAME:
            # Defaults have no effect, as in `_judge`.
            given = {one.name for one, of in value.ListFields() if of != one.default_value}
            said = (name for name in OF_FRAMES if name in given)
            unread.update(dict.fromkeys(said, "source_class {} alone reads it".format(FRAME)))
    for name, reason in unread.items():
        faults.refuse(
            "net-field-refused", file=file, where=where, field=name, reason=reason, fix="Remove it."
        )


def _judge(message: Any, where: str, file: str, faults: Refusals) -> None:  # noqa: ANN401
    kind = str(message.DESCRIPTOR.name)
    for field, value in message.ListFields():
        reason = REFUSED[kind].get(field.name)
        if reason and (field.message_type or value != field.default_value):
            faults.refuse(
                "net-field-refused", file=file, where=where, field=field.name, reason=reason, fix="Remove it."
            )
        elif not reason and field.name not in HONOURED[kind]:
            faults.refuse("net-field-unknown", file=file, where=where, field=field.name, message=kind)
