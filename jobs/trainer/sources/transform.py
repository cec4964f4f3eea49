"""Caffe's transform_param on arrays: crop, mirror, mean, scale, in the order of Caffe's DataTransformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from jobs.trainer.errors import Refused


@dataclass(frozen=True)
class Transform:
    """Transformation of a record of shape (channels, height, width); pixels are bytes or float32."""

    scale: float = 1.0
    mean_values: Tuple[float, ...] = ()
    mean: Optional[np.ndarray] = None
    """From a mean file: float32, (channels, height, width) of the record before cropping."""
    crop: int = 0
    mirror: bool = False
    train: bool = False
    """Crop at random while training, at the centre otherwise."""

    def check(self, channels: int, height: int, width: int) -> None:
        """Refuse records that cannot be transformed.

        Raises:
            Refused: the crop is larger than the record, or the mean has another shape.
        """
        record = "{}x{}x{}".format(channels, height, width)
        if self.crop > min(height, width):
            raise Refused("crop-exceeds-record", crop=self.crop, record=record)
        if len(self.mean_values) not in (0, 1, channels):
            raise Refused("mean-values-invalid", count=len(self.mean_values), record=record)
        if self.mean is not None and self.mean.shape != (channels, height, width):
            shape = "x".join(str(side) for side in self.mean.shape)
            raise Refused("mean-shape-differs", mean=shape, record=record)

    def apply(self, pixels: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Return a record as float32, (channels, crop or height, crop or width)."""
        window = self._window(pixels.shape[1], pixels.shape[2], random)
        values = pixels[:, window[0], window[1]].astype(np.float32)
        if self.mean is not None:
            # The mean is per position: crop it like the record; it is mirrored with the record below.
            values -= self.mean[:, window[0], window[1]]
        elif self.mean_values:
            values -= np.asarray(self.mean_values, np.float32).reshape(-1, 1, 1)
        if self.scale != 1.0:
            values *= np.float32(self.scale)
        # As in Caffe, `mirror` is random in the TEST phase too; TEST layers omit it.
        if self.mirror and random.randint(2):
            values = values[:, :, ::-1]
        return values

    def _window(self, height: int, width: int, random: np.random.RandomState) -> Tuple[slice, slice]:
        if not self.crop:
            return slice(None), slice(None)
        if self.train:
            top = int(random.randint(height - self.crop + 1))
            left = int(random.randint(width - self.crop + 1))
        else:
            top, left = (height - self.crop) // 2, (width - self.crop) // 2
        return slice(top, top + self.crop), slice(left, left + self.crop)
