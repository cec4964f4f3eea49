"""Files of models and snapshots: their kinds, and whether a model's weights fit a net.

Caffe aborts on a file of another kind or shape, and takes a model none of whose layers the net has without
a word: training would then start from random weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence, Tuple

from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words

WEIGHTS, STATE, HDF5, OTHER = "weights", "solver state", "HDF5", "another kind of file"
HEAD = 8
"""Bytes at the start of a file that tell its kind."""
_MAGIC = b"\x89HDF\r\n\x1a\n"
# First fields on the wire: NetParameter's name or (without one) a layer, SolverState's iter.
_NAME, _LAYER, _OLD_LAYER, _ITER = b"\x0a", b"\xa2\x06", b"\x12", b"\x08"

Shape = Tuple[int, ...]


def kind_of(file: Path) -> str:
    """Return the kind of a local file."""
    with file.open("rb") as opened:
        return kind(opened.read(HEAD))


def kind(head: bytes) -> str:
    """Return the kind of a file by its first bytes."""
    if head == _MAGIC:
        return HDF5
    if head.startswith(_ITER):
        return STATE
    return WEIGHTS if head.startswith((_NAME, _LAYER, _OLD_LAYER)) else OTHER


def require_kind(option: str, uri: str, head: bytes) -> None:
    """Require that -weights names weights and -snapshot a solver state.

    Raises:
        Refused: it is the other one, or neither.
    """
    wanted = STATE if option == "-snapshot" else WEIGHTS
    found = kind(head)
    if found == HDF5:
        # Only an HDF5 library could tell by content; Caffe and this trainer write names with the kind.
        is_state, is_weights = ".solverstate" in uri, ".caffemodel" in uri
        found = STATE if is_state else WEIGHTS
        if wanted == STATE and not is_state and not is_weights:
            raise Refused("snapshot-renamed", uri=uri)
    if found != wanted:
        file = ".solverstate" if wanted == STATE else ".caffemodel"
        raise Refused("file-of-other-kind", option=option, uri=uri, found=found, file=file)


def require_fit(model: Any, shapes: Mapping[str, Sequence[Shape]], file: str) -> None:  # noqa: ANN401
    """Require that a model (NetParameter) gives weights to a layer of the net, and all of the right shape.

    `shapes` has the shapes of each layer's parameters.

    Raises:
        Refused: it does not.
    """
    given = {layer.name: layer.blobs for layer in model.layer if layer.blobs and layer.name in shapes}
    for name, blobs in given.items():
        found = [_shape(blob) for blob in blobs]
        if not _equal(found, shapes[name]):
            raise Refused(
                "weights-shape-differs",
                file=file,
                layer=name,
                found=_text(found),
                wanted=_text(shapes[name]),
            )
    # Models of the old format have `layers`, which Caffe converts.
    if not given and not any(layer.name in shapes for layer in model.layers):
        raise Refused("weights-match-no-layer", file=file, layers=", ".join(shapes))


def _shape(blob: Any) -> Shape:  # noqa: ANN401
    return tuple(blob.shape.dim) if blob.HasField("shape") else _old_shape(blob)


def _old_shape(blob: Any) -> Shape:  # noqa: ANN401
    return (blob.num, blob.channels, blob.height, blob.width)


def _equal(found: Sequence[Shape], wanted: Sequence[Shape]) -> bool:
    def same(one: Shape, other: Shape) -> bool:
        # As Blob::ShapeEquals: shapes of four axes may have ones before.
        return one == other or (len(one) == 4 and one == (1,) * (4 - len(other)) + other)  # noqa: PLR2004

    return len(found) == len(wanted) and all(same(one, other) for one, other in zip(found, wanted))


def _text(shapes: Sequence[Shape]) -> str:
    return ", ".join(in_words(shape) for shape in shapes)
