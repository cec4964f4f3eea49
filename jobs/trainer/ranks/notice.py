"""Notice of a cloud that it is about to take this node, as the node's own service writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Optional

from jobs.trainer.contract import NOTICE_FILE

MOST_BYTES = 4096
MOST_WORDS = 300


class Notice(NamedTuple):
    """Reason, and the time at which the node ends in seconds since the epoch; 0 where it is not known."""

    why: str
    at: float


def read(file: Optional[Path] = None) -> Optional[Notice]:
    """Return the notice of this node; None without one."""
    try:
        with (file or Path(NOTICE_FILE)).open("rb") as opened:
            text = opened.read(MOST_BYTES).decode(errors="replace")
    except OSError:
        return None
    try:
        given = json.loads(text)
        return Notice(" ".join(str(given["why"]).split())[:MOST_WORDS], float(given.get("at") or 0))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        # The node goes in any case, and the service's next version may say it in another form.
        return Notice("its cloud takes the node", 0.0)
