"""Built-in data sets, by how each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

CONVERT_TIMEOUT = 600.0
"""Seconds for a conversion on the head."""
ON_HEAD = Path(__file__).parent / "on_head"
PHASES = ("train", "test")
"""Phases with an LMDB each: PHASE_lmdb in the set's folder."""


class DataSet(NamedTuple):
    """A data set that is downloaded, and converted on the head."""

    inputs: Mapping[str, str]
    """sha256 of its raw files."""
    files: Callable[[], dict[str, Path]]
    """Function that returns the raw files on this machine, by name."""
    script: Callable[[str], str]
    """Function that returns the script which converts them in a working folder on the head."""
    program: Path | None = None
    """Program that the script runs, from its working folder."""
    shipped: Mapping[Path, Callable[[], object]] = {}
    """Files of this machine that travel with a job on the set, and functions that make them."""
