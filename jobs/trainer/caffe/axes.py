"""Axes of a net's blobs that are the batch's, found by batches of other sizes."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

NO_AXIS = -1
"""Of a blob whose batch is merged with another axis."""


def reshape(net: Any, dims: Mapping[str, List[int]]) -> None:  # noqa: ANN401 - pycaffe has no types
    """Give a net inputs of other shapes; Caffe aborts where a layer does not take them."""
    for name, shape in dims.items():
        net.blobs[name].reshape(*shape)
    net.reshape()


def axes_of(net: Any, batch: int, larger: Mapping[str, List[int]]) -> Dict[str, int]:  # noqa: ANN401
    """Return the batch's axes by blob, without blobs that do not have it.

    `larger` has the shapes of inputs with one sample more than `batch`; the net keeps them.
    """
    small = {name: tuple(blob.shape) for name, blob in net.blobs.items()}
    reshape(net, larger)
    axes = {}
    for name, shape in small.items():
        sides = zip(shape, net.blobs[name].shape)
        changed = [axis for axis, (before, after) in enumerate(sides) if before != after]
        if changed:
            whole = len(changed) == 1 and shape[changed[0]] == batch
            axes[name] = changed[0] if whole else NO_AXIS
    return axes


def kept(net: Any, batch: int, smaller: Mapping[str, List[int]]) -> Dict[str, List[int]]:  # noqa: ANN401
    """Return the blobs whose first axis stays `batch` in a smaller batch though others change; their shapes.

    A layer has the batch as a literal there and infers another axis, so a row is no longer a sample's.
    `smaller` has the shapes of inputs, which the net keeps.
    """
    full = {name: tuple(blob.shape) for name, blob in net.blobs.items()}
    reshape(net, smaller)
    shapes = {name: tuple(net.blobs[name].shape) for name in full}
    return {
        name: list(shape)
        for name, shape in shapes.items()
        if shape != full[name] and shape[:1] == full[name][:1] == (batch,)
    }
