"""Collectives of the ranks of a training job, and their rendezvous.

`caffe_allreduce.Group` implements them in C++; `Solo` replaces it where a rank trains alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Callable, Iterable, List, Optional, Protocol, Sequence, TypeVar

import numpy as np

from jobs.trainer import contract
from jobs.trainer.contract import FLOAT32
from jobs.trainer.errors import TrainerError
from jobs.trainer.ranks.connect import Unproven, connect


class Ranks(Protocol):
    """Collectives that training needs, with this rank and the number of ranks."""

    rank: int
    size: int

    @property
    def waited_s(self) -> float:
        """Seconds that steps have waited for other ranks."""

    def attach(self, solver: Any, gradients: str = FLOAT32) -> None:  # noqa: ANN401
        """Average gradients over all ranks before each update, sent as one of `contract.GRADIENTS`."""

    def broadcast_weights(self, solver: Any) -> None:  # noqa: ANN401
        """Broadcast the weights of rank 0 to every rank."""

    def allreduce_mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over all ranks, on every rank."""

    def close(self) -> None:
        """Leave the group."""


class Solo:
    """One rank alone: a single executor, or a measurement without communication."""

    rank, size, waited_s = 0, 1, 0.0

    def attach(self, solver: Any, gradients: str = FLOAT32) -> None:  # noqa: ANN401
        """Do nothing: there are no other ranks."""

    def broadcast_weights(self, solver: Any) -> None:  # noqa: ANN401
        """Do nothing: there are no other ranks."""

    def allreduce_mean(self, values: np.ndarray) -> np.ndarray:
        """Return the values."""
        return values

    def close(self) -> None:
        """Do nothing."""


class PeerLost(TrainerError):
    """A collective failed: another rank is gone or silent. Mostly a consequence, rarely the cause."""


T = TypeVar("T")


def together(action: Callable[[], T]) -> T:
    """Run an action that needs the other ranks.

    Raises:
        PeerLost: a rank is gone or silent.
    """
    import caffe_allreduce

    try:
        return action()
    except caffe_allreduce.PeerLost as error:
        raise PeerLost("peer-lost", reason=str(error).splitlines()[0]) from error


class Peers:
    """`caffe_allreduce.Group` whose connections are proven by the job's token; failures are `PeerLost`."""

    def __init__(self, address: str, exchange: "Exchange", token: bytes, timeout_s: float) -> None:
        import caffe_allreduce

        self.rank, self.size = exchange.rank, exchange.size
        try:
            connections = connect(self.rank, address, token, exchange.bytes, timeout_s)
        except Unproven as error:
            # In the words of `caffe_allreduce`, by which `blame` tells one that hangs from one that is gone.
            words = "rank {}: {} while {}: nothing for {:g} s"
            reason = words.format(self.rank, error, contract.CONNECTING, timeout_s)
            raise PeerLost("peer-lost", reason=reason) from error
        self._group = together(lambda: caffe_allreduce.Group(self.rank, connections, timeout_s=timeout_s))

    def all_gather(self, mine: bytes) -> List[bytes]:
        """Return every rank's bytes."""
        return together(lambda: list(self._group.all_gather(mine)))

    @property
    def waited_s(self) -> float:
        """See `Ranks.waited_s`."""
        return float(self._group.waited_s)

    def attach(self, solver: Any, gradients: str = FLOAT32) -> None:  # noqa: ANN401
        """See `Ranks.attach`."""
        together(lambda: self._group.attach(solver, gradients))

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
    """All-gather: every rank gives a value and gets all values in rank order.

    Spark's barrier is the rendezvous; it takes a second per call, so connected ranks use their own
    connections (`through`).
    """

    def __init__(self, rank: int, size: int, all_gather: Callable[[str], List[str]]) -> None:
        self.rank, self.size, self._all_gather = rank, size, all_gather
        self._connected: Optional[Callable[[bytes], List[bytes]]] = None

    def through(self, all_gather: Callable[[bytes], List[bytes]]) -> None:
        """Use the all-gather of connected ranks from now on."""
        self._connected = all_gather

    def bytes(self, mine: bytes) -> List[bytes]:
        """Return every rank's bytes."""
        if self.size == 1:
            return [mine]
        if self._connected is not None:
            return self._connected(mine)
        try:
            gathered = self._all_gather(base64.b64encode(mine).decode())
        except Exception as error:
            # Spark aborts the call when another task of the stage fails.
            raise PeerLost("peer-lost", reason=str(error).strip().partition("\n")[0]) from error
        return [base64.b64decode(text) for text in gathered]

    def json(self, mine: Any) -> List[Any]:  # noqa: ANN401 - any JSON value
        """Return every rank's value."""
        return [json.loads(item.decode()) for item in self.bytes(json.dumps(mine).encode())]


def digest(parts: Iterable[bytes]) -> str:
    """Return the sha256 over all parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def require_same(code: str, found: Sequence[Sequence[str]], **fields: str) -> None:
    """Require the same value on every rank; `found` has a (host, value) per rank.

    Raises:
        TrainerError: they differ; the message has each host's value.
    """
    if len({value for _, value in found}) > 1:
        each = ", ".join("{} has {}".format(host, value[:40]) for host, value in found)
        raise TrainerError(code, values=each, **fields)
