"""Range of the labels that a net takes, by the layers that read them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

_AXIS: Dict[str, str] = {
    "SoftmaxWithLoss": "softmax_param",
    "Accuracy": "accuracy_param",
    "InfogainLoss": "infogain_loss_param",
    "MultinomialLogisticLoss": "",
    "HingeLoss": "",
}
"""Layers whose second bottom is a class number, and the parameter that has the axis of the classes."""


class Labels(NamedTuple):
    """Labels that a net takes: 0 to classes - 1, and those that all its layers ignore."""

    classes: int = 0
    """0: the net takes any label."""
    ignored: Tuple[int, ...] = ()


ANY = Labels()
_IGNORING = ("SoftmaxWithLoss", "Accuracy", "InfogainLoss")
"""Those of them that honour `ignore_label`; the others index by it."""
_PASSING = ("Split", "Reshape", "Flatten")
"""Layers whose tops have the values of their bottom."""


def labels_of(net: Any, shapes: Mapping[str, Sequence[int]], top: str) -> Labels:  # noqa: ANN401
    """Return the labels that a net takes from a top of its data layer; `shapes` has those of its blobs."""
    labels = {top}
    counts: List[int] = []
    ignored: Optional[Set[int]] = None
    for layer in net.layer:
        if layer.type in _PASSING and layer.bottom[0] in labels:
            labels.update(layer.top)
        if layer.type == "Embed" and layer.bottom[0] in labels:
            counts.append(int(layer.embed_param.input_dim))
            ignored = set()
        if layer.type not in _AXIS or len(layer.bottom) < 2 or layer.bottom[1] not in labels:  # noqa: PLR2004
            continue
        shape = shapes[layer.bottom[0]]
        field = _AXIS[layer.type]
        axis = getattr(layer, field).axis if field else 1
        counts.append(int(shape[axis % len(shape)]))
        param = layer.accuracy_param if layer.type == "Accuracy" else layer.loss_param
        ignores = layer.type in _IGNORING and param.HasField("ignore_label")
        mine = {int(param.ignore_label)} if ignores else set()
        ignored = mine if ignored is None else ignored & mine
    return Labels(min(counts), tuple(sorted(ignored or ()))) if counts else ANY
