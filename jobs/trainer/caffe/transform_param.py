"""Transformation of a data layer, read from a transform_param."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Tuple

import numpy as np

from jobs.trainer.caffe.nets import PhaseNet
from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words
from jobs.trainer.sources.transform import Transform


def transform_of(param: Any, net: PhaseNet, where: str, pb: Any) -> Transform:  # noqa: ANN401
    """Read a transform_param; `where` names its layer.

    Raises:
        Refused: it has two options that exclude each other, or its mean file cannot be read.
    """
    if param.force_color and param.force_gray:
        raise Refused("image-options-given-twice", layer=where)
    if param.mean_file and param.mean_value:
        raise Refused("mean-given-twice", layer=where)
    return Transform(
        scale=param.scale,
        mean_values=tuple(param.mean_value),
        mean=_mean(param.mean_file, where, net.path, pb) if param.mean_file else None,
        crop=param.crop_size,
        mirror=param.mirror,
        force_color=param.force_color,
        force_gray=param.force_gray,
        train=net.phase == "TRAIN",
    )


def require_crop(transform: Transform, shape: Tuple[int, int, int], where: str) -> None:
    """Require a layer's shape to be the one after cropping."""
    _, height, width = shape
    if transform.crop and (height, width) != (transform.crop, transform.crop):
        raise Refused("crop-differs-from-layer", layer=where, crop=transform.crop, height=height, width=width)


def require_mean(transform: Transform, shape: Tuple[int, int, int], where: str) -> None:
    """Require a mean that records of the layer's shape can have, which are at least as large as the crop."""
    text = in_words(shape)
    if len(transform.mean_values) not in (0, 1, shape[0]):
        raise Refused("mean-values-invalid", count=len(transform.mean_values), record=text)
    mean = transform.mean
    if mean is None:
        return
    fits = mean.ndim == len(shape) and mean.shape[0] == shape[0]
    fits = fits and (min(mean.shape[1:]) >= transform.crop if transform.crop else mean.shape == shape)
    if not fits:
        raise Refused("mean-shape-differs", mean=in_words(mean.shape), record=text)


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
