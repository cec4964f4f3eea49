"""Fabric tasks of `jobs`, by what they are about.

Modules are imported by the tasks that use them, as in `bootstrap.tasks`.
"""

from jobs.tasks.datasets import convert, data
from jobs.tasks.drills import drill_spot
from jobs.tasks.running import attach, clean, curve, kill, logs, status
from jobs.tasks.submission import notebook, resume, submit, submit_mnist
from jobs.tasks.support import support_bundle

__all__ = [
    "attach",
    "clean",
    "convert",
    "curve",
    "data",
    "drill_spot",
    "kill",
    "logs",
    "notebook",
    "resume",
    "status",
    "submit",
    "submit_mnist",
    "support_bundle",
]
