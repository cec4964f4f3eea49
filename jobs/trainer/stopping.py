"""End of a job that was asked for: by a file in its folder, whose text is the reason."""

from __future__ import annotations

from typing import Optional

from jobs.trainer import contract
from jobs.trainer.contract import CONTROL_CONF, STOP_FILE
from jobs.trainer.errors import TrainerError
from jobs.trainer.running import RunningJob

PERIOD_S = 3.0
"""Seconds between two looks for the file."""
MOST_REASON = 300
"""Bytes of it that are read."""


def asked(running: RunningJob) -> str:
    """Return why a job is to end; empty if it is not, or storage does not say."""
    folder = running.conf.get(CONTROL_CONF, "")
    if not folder:
        return ""
    uri, files = "{}/{}".format(folder, STOP_FILE), running.files
    try:
        if not files.exists(uri):
            return ""
        text = files.head(uri, MOST_REASON).decode(errors="replace")
    except TrainerError as error:
        print("not looked for: {}".format(error), flush=True)
        return ""
    return " ".join(text.split()) or "{} is there".format(uri)


def stopped(iteration: int, reason: str, newest: Optional[contract.Snapshot]) -> TrainerError:
    """Return the end of a job that was asked for, with the snapshot to go on from."""
    return TrainerError("stopped", iteration=iteration, reason=reason, **(newest.resume() if newest else {}))
