"""Cache folder on the operator's machine: frameworks, data and probe results, which outlive stacks."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "CAFFE_SPARK_CACHE"
"""Environment variable that overrides the user's cache folder."""


def operator_cache() -> Path:
    """Return the absolute path of the cache folder, which may not exist yet."""
    override = os.environ.get(VARIABLE)
    return Path(override).absolute() if override else Path(platformdirs.user_cache_dir("caffe-spark"))
