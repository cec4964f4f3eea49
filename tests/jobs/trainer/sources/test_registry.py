"""Record sources by the source_class of a data layer."""

from __future__ import annotations

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.registry import check_class


def test_only_caffeonsparks_lmdb_is_a_source_so_far() -> None:
    check_class("com.yahoo.ml.caffe.LMDB")
    for name in ("com.yahoo.ml.caffe.ImageDataFrame", "LMDB", ""):
        with pytest.raises(Refused):
            check_class(name)
