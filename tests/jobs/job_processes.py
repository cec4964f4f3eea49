"""Processes of a job on this machine, for tests on a local stand-in of a node."""

from __future__ import annotations

from pathlib import Path


def job_processes(job: str) -> list[str]:
    """Return the ids of the processes that carry the job's id in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            marked = f"CAFFE_SPARK_JOB={job}".encode() in environ.read_bytes().split(b"\0")
        except OSError:
            continue
        if marked:
            found.append(environ.parent.name)
    return found
