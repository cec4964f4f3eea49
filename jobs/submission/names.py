"""Names of files that travel with a job, which Spark and YARN take for parts of lists and of URIs. Pure.

Such a file lies in the job's folder on the head, among the files that Spark distributes, and in the working
folder of each container of YARN; so it must not have the name of a file that is there already.
"""

from __future__ import annotations

import re
import sys
from typing import Final

from jobs.trainer.contract import EVENTS_FILE, FEED_FILE, PROGRAM_FILE, TRAINER_FILE

RECORD_FILE: Final = "job.json"
"""File of the record in a job's folder, on the head or in shared storage."""

# A comma ends an entry of a list, # begins its alias; % : ? and what is not ASCII is changed in URIs, and
# Spark expands * [ {.
_VALID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_OF_THE_JOB: Final = (PROGRAM_FILE, TRAINER_FILE, EVENTS_FILE, FEED_FILE, RECORD_FILE)
_OF_THE_UNIT: Final = ("run.sh", "log", "status", "status.new", "lock", "features", "features.jsonl")
_OF_YARN: Final = ("stdout", "stderr", "tmp", "container_tokens", "launch_container.sh", "pyspark.zip")
_DATA: Final = ("train_lmdb", "test_lmdb")
_OWN: Final = frozenset({*_OF_THE_JOB, *_OF_THE_UNIT, *_OF_YARN, *_DATA})
_INSTALLED: Final = (
    "caffe",
    "caffe_allreduce",
    "caffe_feed",
    "com",
    "google",
    "jobs",
    "lmdb",
    "numpy",
    "pyspark",
    "py4j",
)
_MODULES: Final = frozenset({*sys.stdlib_module_names, *_INSTALLED})
"""Modules that a file of that name would hide from the driver, whose working folder comes first."""


def fault(name: str) -> str:
    """Return why a file of this name cannot travel with a job; empty if it can."""
    if not _VALID.fullmatch(name):
        return "it is not a valid name: use letters, digits, and . _ - after the first"
    if name in _OWN or name.startswith(("__spark_", "given-")):
        return "the job has a file of that name itself"
    stem, _, suffix = name.partition(".")
    if suffix.startswith(("py", "so")) and stem in _MODULES:
        return f"it would hide the Python module {stem} from the driver"
    return ""
