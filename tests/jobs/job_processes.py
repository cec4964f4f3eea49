"""Processes of a job on this machine, for tests on a local stand-in of a node."""

from __future__ import annotations

from pathlib import Path

from jobs.trainer.contract import JOB_ENV
from tests.bootstrap.local_node import LocalNode


def job_processes(node: LocalNode, job: str) -> list[str]:
    """Return the ids of the node's processes that carry the job's id in their environment."""
    found = []
    wanted = {f"{name}={value}".encode() for name, value in {**node.variables, JOB_ENV: job}.items()}
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = environ.read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted <= set(variables):
            found.append(environ.parent.name)
    return found
