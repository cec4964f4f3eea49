"""Journal and prototxts of a driver's process, as its environment says."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, Mapping

from jobs.trainer import contract
from jobs.trainer.caffe import prototxt
from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.contract import EVENTS_ENV, FEED_ENV, OVERRIDE_ENV, OVERRIDES
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.events.channel import Address, Sender
from jobs.trainer.events.journal import Journal


def open_journal() -> Journal:
    """Return a new journal that shows events on stdout, with the file and the feed of the environment."""
    events, feed = os.environ.get(EVENTS_ENV), os.environ.get(FEED_ENV)
    sender = Sender(Address.parse(Path(feed).read_text())) if feed else None
    return Journal(Path(events) if events else None, sys.stdout, sender)


def failed(error: TrainerError) -> contract.Failed:
    """Return the event of a job that ends with an error."""
    return contract.Failed(
        code=error.code, fields=error.fields, exit_code=error.exit_code, message=str(error)
    )


def training_job(conf: str, pb: Any, *, resize: bool) -> prototxt.TrainingJob:  # noqa: ANN401 - caffe_pb2
    """Read the job of a solver; `resize` as the option of that name.

    Raises:
        Refused: it cannot run.
    """
    job = prototxt.load(solver_file(conf), pb, overrides(os.environ))
    return prototxt.with_layers(job, DataLayer.resized) if resize else job


def solver_file(conf: str) -> Path:
    """Return -conf as a local path, or as the file of that name shipped by `--files`."""
    path = Path(conf)
    if not path.is_file() and Path(path.name).is_file():
        return Path(path.name)
    return path


def overrides(environment: Mapping[str, str]) -> Dict[str, str]:
    """Return the values that an environment sets over those of prototxts.

    Raises:
        Refused: one is not valid.
    """
    values: Dict[str, str] = {name: environment.get(OVERRIDE_ENV + name.upper(), "") for name in OVERRIDES}
    for name in ("max_iter", "batch"):
        if values[name] and not (values[name].isdigit() and int(values[name]) >= 1):
            raise Refused("override-not-a-count", variable=OVERRIDE_ENV + name.upper(), value=values[name])
    if values["final_validation"] not in {"", "0", "1"}:
        variable = OVERRIDE_ENV + "FINAL_VALIDATION"
        raise Refused("override-not-a-switch", variable=variable, value=values["final_validation"])
    mode = values["solver_mode"]
    if mode not in {"", "CPU", "GPU"}:
        raise Refused("override-not-a-mode", variable=OVERRIDE_ENV + "SOLVER_MODE", value=mode)
    return values
