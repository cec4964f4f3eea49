"""State of a run beside Caffe's: where its ranks read, and the seed of its random numbers.

Part of a snapshot, as a file of its own, since Caffe's SolverState has no place for it. Random numbers follow
from the seed, the rank, the iteration and the records' indices. So a run that is resumed with it ends as one
that ran through.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.trainer.errors import Refused

SUFFIX = ".feed.json"
_STATE = ".solverstate"


@dataclass(frozen=True)
class FeedState:
    """Position in the endlessly repeated TRAIN source, in records of all ranks, and the run's seed."""

    position: int
    seed: int
    solver: str
    """Sum of the solver's state that it belongs to: a file of another snapshot may lie there."""

    def dump(self) -> str:
        """Return the file's text."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def load(cls, text: str, name: str, solver: str) -> "FeedState":
        """Read a file's text; `solver` is the sum of the solver's state.

        Raises:
            Refused: it is not a feed's state, or that of another snapshot.
        """
        try:
            given = json.loads(text)
            found = cls(given["position"], given["seed"], given["solver"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refused("feed-state-invalid", file=name) from error
        for value in (found.position, found.seed):
            if type(value) is not int or not 0 <= value < 2**63:
                raise Refused("feed-state-invalid", file=name)
        if found.solver != solver:
            raise Refused("feed-state-differs", file=name)
        return found


def sum_of(state: Path) -> str:
    """Return the SHA-256 of a file, by which a feed's state knows its solver's."""
    total = hashlib.sha256()
    with state.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()


def beside(state: str) -> str:
    """Return the name of the feed's state that belongs to a solver's state, `X.solverstate` or with `.h5`."""
    stem = state[: -len(".h5")] if state.endswith(".h5") else state
    return (stem[: -len(_STATE)] if stem.endswith(_STATE) else stem) + SUFFIX
