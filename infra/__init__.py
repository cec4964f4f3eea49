"""Stacks as Pulumi programs.

Pulumi runs the program in this folder, and its dynamic providers with this folder as the current one: both
put it on `sys.path`. Then `azure` is not the SDK but the folder beside this file, and `config` a second copy
of `infra.config`. Nothing needs that entry, since the project is installed; whoever imports `infra` loses it.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _leave_the_path() -> None:
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]


_leave_the_path()
