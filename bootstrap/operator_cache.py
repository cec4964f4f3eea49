"""Where the operator's machine keeps what outlives every stack: frameworks, data, what the probe found."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "CAFFE_SPARK_CACHE"
"""Environment variable that names another folder than the user's cache folder."""


def operator_cache() -> Path:
    """The folder, absolute; it may not exist yet."""
    given = os.environ.get(VARIABLE)
    return Path(given).absolute() if given else Path(platformdirs.user_cache_dir("caffe-spark"))
