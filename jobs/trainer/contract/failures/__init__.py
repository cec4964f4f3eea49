"""Catalogue of failures: by code, the templates of their messages, in a module for each area.

Programs act on the code and its fields. `words` formats the text only where people read it: in the driver's
log and on the operator's machine. Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from jobs.trainer.contract.failures import (
    cluster,
    command_line,
    converters,
    data,
    data_layers,
    net,
    python_api,
    solver,
    storage,
    training,
)
from jobs.trainer.contract.failures.templates import Words

__all__ = ["AREAS", "FAILURES", "Words", "advises", "resume", "sentence", "words"]

AREAS = (
    command_line,
    converters,
    python_api,
    solver,
    net,
    data_layers,
    data,
    storage,
    cluster,
    training,
)
"""Modules, each with its part of the table. A code is in one of them."""
FAILURES: Dict[str, Words] = {code: words for area in AREAS for code, words in area.FAILURES.items()}
"""Templates by code. A code never changes its meaning: old job records and the diagnosis table use it."""


def words(code: str, fields: Mapping[str, Any]) -> Words:
    """Return the words of a failure.

    Raises:
        KeyError: there is no such code, or a field of it is missing.
    """
    filled = {"resume": resume(fields), "restart": _restart(fields), **fields}
    given, why, fix = (part.format(**filled) for part in FAILURES[code])
    return Words(given, why, fix)


def advises(code: str) -> bool:
    """Return whether the fix of a failure says how to go on: from a snapshot, a model or the start."""
    fix = FAILURES[code].fix if code in FAILURES else ""
    return "{resume}" in fix or "{restart}" in fix


def sentence(parts: Tuple[str, str, str]) -> str:
    """Return the three parts as one line."""
    given, why, fix = parts
    return " ".join("{}: {}. {}".format(given, why.rstrip("."), fix).split())


def resume(fields: Mapping[str, Any]) -> str:
    """Return how to go on after a failure, by its fields: from the model, a snapshot, or the start."""
    if "model" in fields:
        return "The model is stored: score {model} without -train.".format(**fields)
    if "resume_from" not in fields:
        return "There is no snapshot to resume from. Run the job again."
    return "Resume from iteration {resume_from} with -snapshot {snapshot} -weights {weights}".format(**fields)


def _restart(fields: Mapping[str, Any]) -> str:
    if "resume_from" not in fields:
        return "There is no snapshot to resume from: train from the start with that change."
    return "With that change, {}.".format(resume(fields).replace("Resume", "resume", 1))
