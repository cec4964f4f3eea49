"""The ranks of a training job: how they find each other, and what they do together.

`caffe_allreduce.Group` does the work (gloo, in C++); `Solo` stands in where a rank trains alone.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Callable, Iterable, List, Protocol, TypeVar

import numpy as np

from jobs.trainer.errors import TrainerError


class Ranks(Protocol):
    """What training needs of the other ranks: which of how many this is, and what they do together."""

    rank: int
    size: int

    @property
    def waited_s(self) -> float:
        """Seconds that steps have waited for the others."""

    def attach(self, solver: Any) -> None:  # noqa: ANN401
        """Average gradients over all ranks before each update."""

    def broadcast_weights(self, solver: Any) -> None:  # noqa: ANN401
        """Give every rank the weights of rank 0."""

    def allreduce_mean(self, values: np.ndarray) -> np.ndarray:
        """The mean over all ranks, on every rank."""

    def close(self) -> None:
        """Leave."""


class Solo:
    """One rank alone: a single executor, or a measurement without communication."""

    rank, size, waited_s = 0, 1, 0.0

    def attach(self, solver: Any) -> None:  # noqa: ANN401
        """Nothing to exchange."""

    def broadcast_weights(self, solver: Any) -> None:  # noqa: ANN401
        """Nobody to give them to."""

    def allreduce_mean(self, values: np.ndarray) -> np.ndarray:
        """The values themselves."""
        return values

    def close(self) -> None:
        """Nothing to leave."""


class PeerLost(TrainerError):
    """A collective failed: another rank is gone or silent. Rarely the cause, mostly its echo."""


T = TypeVar("T")


def together(action: Callable[[], T]) -> T:
    """Do something that needs the other ranks.

    Raises:
        PeerLost: one of them is gone or silent.
    """
    import caffe_allreduce

    try:
        return action()
    except caffe_allreduce.PeerLost as error:
        raise PeerLost(
            "the executors", str(error).splitlines()[0], "Run the job again from its last snapshot."
        ) from error


class Peers:
    """`caffe_allreduce.Group`, its failures told as `PeerLost`."""

    def __init__(self, rank: int, size: int, address: str, exchange: "Exchange", timeout_s: float) -> None:
        import caffe_allreduce

        self.rank, self.size = rank, size
        self._group = together(
            lambda: caffe_allreduce.Group(rank, size, address, exchange.bytes, timeout_s=timeout_s)
        )

    @property
    def waited_s(self) -> float:
        """See `Ranks.waited_s`."""
        return float(self._group.waited_s)

    def attach(self, solver: Any) -> None:  # noqa: ANN401
        """See `Ranks.attach`."""
        together(lambda: self._group.attach(solver))

    def broadcast_weights(self, solver: Any) -> None:  # noqa: ANN401
        """See `Ranks.broadcast_weights`."""
        together(lambda: self._group.broadcast_weights(solver))

    def allreduce_mean(self, values: np.ndarray) -> np.ndarray:
        """See `Ranks.allreduce_mean`."""
        return together(lambda: np.asarray(self._group.allreduce_mean(values)))

    def close(self) -> None:
        """See `Ranks.close`."""
        self._group.close()


class Exchange:
    """Everyone gives something, everyone gets all of it in rank order: Spark's barrier as a rendezvous."""

    def __init__(self, all_gather: Callable[[str], List[str]]) -> None:
        self._all_gather = all_gather

    def bytes(self, mine: bytes) -> List[bytes]:
        """Every rank's bytes."""
        return [base64.b64decode(text) for text in self._all_gather(base64.b64encode(mine).decode())]

    def text(self, mine: str) -> List[str]:
        """Every rank's text."""
        return [item.decode() for item in self.bytes(mine.encode())]


def digest(parts: Iterable[bytes]) -> str:
    """sha256 over all parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def require_same(what: str, values: List[str], hosts: List[str], fix: str) -> None:
    """Every rank has to have the same value.

    Raises:
        TrainerError: they differ; each host's value is named.
    """
    if len(set(values)) > 1:
        each = ", ".join("{} has {}".format(host, value[:16]) for host, value in zip(hosts, values))
        raise TrainerError(what, "it is not the same on all ranks: " + each, fix)
