"""Pulumi programs that provision a stack: the cluster and everything around it.

Pulumi starts the program, and its server of dynamic providers, with this folder on `sys.path`. There `azure`
would shadow the SDK, and `config` would be a second copy of `infra.config`. The project is installed, so
nothing needs that entry: importing `infra` removes it.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _leave_the_path() -> None:
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]


_leave_the_path()
