"""Batches for pycaffe nets, read, decoded and transformed by Caffe's own code ahead of the net.

    feed = caffe_feed.Feed(layer)          # see `Feed`
    feed.open("train_lmdb")                # a thread of the feed reads; or `give` it records
    feed.attach(solver, "data", "label")   # each forward pass of the solver's net gets the next batch
    feed.request(first, count, stride)     # records first, first + stride, … as one batch
    loss = feed.step(solver, seed)         # releases the GIL
    feed.close()

A net without a solver copies batches into its blobs with `take`.
"""

from typing import Any, Dict

import caffe  # noqa: F401 - loads libcaffe and registers the solver's type, both of which _native needs

from ._native import Feed as _Native  # type: ignore[import-not-found]
from ._native import set_bad_record

__all__ = ["BadRecord", "Feed"]


class BadRecord(ValueError):
    """A record that the layer cannot take: a code, and fields with its key."""

    def __init__(self, code: str, fields: Dict[str, str]) -> None:
        super().__init__(f"{code}: {fields}")
        self.code, self.fields = code, fields


set_bad_record(BadRecord)


class Feed(_Native):  # type: ignore[misc]
    """Batches of one data layer, in the order in which they are asked for.

    `layer` has `channels`, `height` and `width` of the transformed records, `train` (phase), `transform` (a
    serialised TransformationParameter), `mean` (the shape of its mean file, or nothing), `classes` (labels
    are 0 to classes - 1; 0: any), `ignored` (labels outside that are taken) and `seed`. Random crops and
    mirrors follow from the seed and a record's index: they depend neither on the number of ranks nor on where
    a run begins.
    """

    def __init__(self, layer: Dict[str, Any]) -> None:
        super().__init__(layer)
