"""A net's data layers: found by phase, and refused where their source cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Tuple

import numpy as np

from jobs.trainer import records
from jobs.trainer.errors import Refused
from jobs.trainer.transform import Transform


@dataclass(frozen=True)
class Source:
    """What the data layer of one phase says."""

    phase: str
    layer: str
    uri: str
    batch: int
    shape: Tuple[int, int, int]
    """(channels, height, width) of the blob: after transform_param."""
    tops: Tuple[str, str]
    """Names of the data and label blobs."""
    transform: Transform


def data_layer(net: Any, path: Path, phase: str, pb: Any) -> Any:  # noqa: ANN401
    """The data layer of a phase: the first layer of the net that the phase sees, found by include.phase.

    Raises:
        Refused: there is none, or another layer comes first.
    """
    value = getattr(pb, phase)

    def sees(layer: Any) -> bool:  # noqa: ANN401
        if layer.include:
            return any(not rule.HasField("phase") or rule.phase == value for rule in layer.include)
        return not any(rule.HasField("phase") and rule.phase == value for rule in layer.exclude)

    def names(layer: Any) -> bool:  # noqa: ANN401
        return any(rule.HasField("phase") and rule.phase == value for rule in layer.include)

    found = [layer for layer in net.layer if names(layer) and not layer.bottom]
    if not found:
        raise Refused(
            path.name,
            "it has no {} data layer".format(phase),
            "Add one with `include {{ phase: {} }}` and a source_class.".format(phase),
        )
    first = next(layer for layer in net.layer if sees(layer))
    if first.name != found[0].name or first is not found[0]:
        raise Refused(
            'layer "{}" in {}'.format(found[0].name, path.name),
            "the data layer must come first in its phase, and {} has {!r} before it".format(
                phase, first.name
            ),
            "Move it to the top.",
        )
    return found[0]


def source_of(layer: Any, phase: str, path: Path, pb: Any) -> Source:  # noqa: ANN401
    """What a data layer says.

    Raises:
        Refused: its source, shape or transform_param cannot be used.
    """
    where = '{} layer "{}" in {}'.format(phase, layer.name, path.name)
    if not layer.source_class:
        raise Refused(
            where, "source_class must be defined", 'Add source_class: "{}LMDB".'.format(records.PREFIX)
        )
    records.check_class(layer.source_class)
    memory = layer.memory_data_param
    if layer.type != "MemoryData":
        raise Refused(where, "an LMDB source needs type MemoryData, this is " + layer.type, "Mend the type.")
    for name, value in (
        ("batch_size", memory.batch_size),
        ("channels", memory.channels),
        ("height", memory.height),
        ("width", memory.width),
    ):
        if value < 1:
            raise Refused(
                where, "{} is {}, and at least 1 is needed".format(name, value), "Mend memory_data_param."
            )
    if not memory.source:
        raise Refused(where, "memory_data_param has no source", "Add source: with the LMDB's URI.")
    if len(layer.top) != 2:  # noqa: PLR2004 - data and label
        raise Refused(where, "it has {} tops".format(len(layer.top)), "Give two: data and label.")
    transform = _transform(layer.transform_param, phase, where, path, pb)
    if transform.crop and (memory.height, memory.width) != (transform.crop, transform.crop):
        raise Refused(
            where,
            "crop_size is {}, height and width are {} and {}".format(
                transform.crop, memory.height, memory.width
            ),
            "Give height and width as they are after cropping.",
        )
    return Source(
        phase=phase,
        layer=layer.name,
        uri=memory.source,
        batch=memory.batch_size,
        shape=(memory.channels, memory.height, memory.width),
        tops=(layer.top[0], layer.top[1]),
        transform=transform,
    )


def _transform(param: Any, phase: str, where: str, path: Path, pb: Any) -> Transform:  # noqa: ANN401
    if param.force_color or param.force_gray:
        raise Refused(
            where, "force_color and force_gray work on encoded images", "They come later; leave them out."
        )
    if param.mean_file and param.mean_value:
        raise Refused(where, "it has both mean_file and mean_value", "Leave one out.")
    return Transform(
        scale=param.scale,
        mean_values=tuple(param.mean_value),
        mean=_mean(param.mean_file, where, path, pb) if param.mean_file else None,
        crop=param.crop_size,
        mirror=param.mirror,
        train=phase == "TRAIN",
    )


def _mean(name: str, where: str, path: Path, pb: Any) -> np.ndarray:  # noqa: ANN401
    candidates = [Path(name), path.parent / name, path.parent / Path(name).name]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise Refused(
            'mean_file: "{}" of {}'.format(name, where), "there is no such file", "Ship it with --files."
        )
    try:
        blob = pb.BlobProto.FromString(file.read_bytes())
        values = np.asarray(blob.data, np.float32)
        dims = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
        return values.reshape(dims[-3:])
    except Exception as error:
        raise Refused(
            str(file), "it is not a mean of Caffe's ({})".format(error), "Run compute_image_mean."
        ) from error
