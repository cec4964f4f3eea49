"""Data layers of a net, by phase."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Tuple

import numpy as np

from jobs.trainer.errors import Refused
from jobs.trainer.sources.registry import LMDB, check_class
from jobs.trainer.sources.transform import Transform


@dataclass(frozen=True)
class DataLayer:
    """Data layer of one phase."""

    phase: str
    layer: str
    source_class: str
    uri: str
    batch: int
    shape: Tuple[int, int, int]
    """(channels, height, width) of the blob: after transform_param."""
    tops: Tuple[str, str]
    """Names of the data and label blobs."""
    transform: Transform


def data_layer(net: Any, path: Path, phase: str, pb: Any) -> Any:  # noqa: ANN401
    """Return the data layer of a phase: its first layer, selected by include.phase.

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
        raise Refused("data-layer-missing", file=path.name, phase=phase)
    first = next(layer for layer in net.layer if sees(layer))
    if first.name != found[0].name or first is not found[0]:
        raise Refused(
            "data-layer-not-first", layer=found[0].name, file=path.name, phase=phase, first=first.name
        )
    return found[0]


def source_of(layer: Any, phase: str, path: Path, pb: Any) -> DataLayer:  # noqa: ANN401
    """Read a data layer.

    Raises:
        Refused: its source, shape or transform_param cannot be used.
    """
    where = '{} layer "{}" in {}'.format(phase, layer.name, path.name)
    if not layer.source_class:
        raise Refused("source-class-undefined", layer=where, valid=LMDB)
    check_class(layer.source_class)
    memory = layer.memory_data_param
    if layer.type != "MemoryData":
        raise Refused("layer-type-unsupported", layer=where, type=layer.type)
    for name, value in (
        ("batch_size", memory.batch_size),
        ("channels", memory.channels),
        ("height", memory.height),
        ("width", memory.width),
    ):
        if value < 1:
            raise Refused("layer-size-invalid", layer=where, field=name, value=value)
    if not memory.source:
        raise Refused("source-undefined", layer=where)
    if len(layer.top) != 2:  # noqa: PLR2004 - data and label
        raise Refused("layer-tops-invalid", layer=where, count=len(layer.top))
    transform = _transform(layer.transform_param, phase, where, path, pb)
    if transform.crop and (memory.height, memory.width) != (transform.crop, transform.crop):
        raise Refused(
            "crop-differs-from-layer",
            layer=where,
            crop=transform.crop,
            height=memory.height,
            width=memory.width,
        )
    return DataLayer(
        phase=phase,
        layer=layer.name,
        source_class=layer.source_class,
        uri=memory.source,
        batch=memory.batch_size,
        shape=(memory.channels, memory.height, memory.width),
        tops=(layer.top[0], layer.top[1]),
        transform=transform,
    )


def _transform(param: Any, phase: str, where: str, path: Path, pb: Any) -> Transform:  # noqa: ANN401
    if param.force_color or param.force_gray:
        raise Refused("image-options-unsupported", layer=where)
    if param.mean_file and param.mean_value:
        raise Refused("mean-given-twice", layer=where)
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
        raise Refused("mean-missing", mean=name, layer=where)
    try:
        blob = pb.BlobProto.FromString(file.read_bytes())
        values = np.asarray(blob.data, np.float32)
        dims = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
        return values.reshape(dims[-3:])
    except Exception as error:
        raise Refused("mean-invalid", file=str(file), reason=str(error)) from error
