"""Caffe's transform_param of a data layer, which its DataTransformer carries out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

import numpy as np

from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words


@dataclass(frozen=True)
class Transform:
    """Transformation of a record of shape (channels, height, width); pixels are bytes or float32."""

    scale: float = 1.0
    mean_values: Tuple[float, ...] = ()
    mean: Optional[np.ndarray] = None
    """From a mean file: float32, (channels, height, width) of the record before cropping."""
    crop: int = 0
    mirror: bool = False
    force_color: bool = False
    force_gray: bool = False
    """Channels of encoded images."""
    train: bool = False
    """Crop at random while training, at the centre otherwise."""

    def decoding(self, channels: int) -> Transform:
        """Return the transformation of encoded images that become grey or coloured as a blob takes them."""
        if self.force_color or self.force_gray:
            return self
        return replace(self, force_color=channels == 3, force_gray=channels == 1)  # noqa: PLR2004

    def check(self, channels: int, height: int, width: int) -> None:
        """Refuse records that cannot be transformed.

        Raises:
            Refused: the crop is larger than the record, or the mean has another shape.
        """
        record = in_words((channels, height, width))
        if self.crop > min(height, width):
            raise Refused("crop-exceeds-record", crop=self.crop, record=record)
        if len(self.mean_values) not in (0, 1, channels):
            raise Refused("mean-values-invalid", count=len(self.mean_values), record=record)
        if self.mean is not None and self.mean.shape != (channels, height, width):
            shape = in_words(self.mean.shape)
            raise Refused("mean-shape-differs", mean=shape, record=record)
