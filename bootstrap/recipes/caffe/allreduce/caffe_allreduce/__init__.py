"""Gradient averaging over all ranks of a training job, for pycaffe solvers, on the CPU.

    group = caffe_allreduce.Group(rank, connections, timeout_s=60)
    group.broadcast_weights(solver)      # all ranks start from rank 0's weights
    group.attach(solver)                 # every step averages the gradients before the update
    solver.step(100)                     # weights stay bit-identical on all ranks
    means = group.allreduce_mean(means)  # e.g. validation accuracy and loss
    group.close()

Every call that communicates is collective: all ranks make the same calls in the same order, between steps.
If a peer is lost, or silent for `timeout_s`, the current call of the other ranks raises `PeerLost`, and the
group can no longer be used. With more than two ranks the peer named may only have lost another one: compare
the errors of all ranks.
"""

# ruff: noqa: ANN401 - pycaffe has no types

import functools
import json
import os
import socket
from typing import Any, List, Optional, Sequence, Tuple

import caffe  # noqa: F401 - loads libcaffe and registers the solver's type, both of which _native needs
import numpy as np

from ._native import Group as _Native  # type: ignore[import-not-found]

__all__ = ["FLOAT16", "FLOAT32", "Group", "PeerLost"]

FLOAT32, FLOAT16 = "float32", "float16"
"""Gradients on their way between ranks: as they are, or rounded to half precision."""
BARRIER = "barrier"
"""Each step waits for all ranks and averages nothing: for measurements."""
MOST_SHARED = 64 << 20
"""Bytes of memory that a rank shares at most: a rank's pages count for those who read them too, and executors
of larger nets have their memory planned without them."""
_NONCE = 16
_LONGEST = 2**31 - 1
"""Milliseconds that poll can wait."""
_MEMORY = "/memfd:gradients (deleted)"
"""The target of a link in /proc to what `memory_file` creates."""


class PeerLost(RuntimeError):
    """A collective did not complete; `ranks` lists the peers that may be lost."""

    def __init__(self, message: str, ranks: List[int]) -> None:
        super().__init__(message)
        self.ranks = ranks


class Group:
    """A fully connected group of ranks, each a process with its own solver.

    `connections` has a connected stream socket for each rank but this one, whose place is None; the group
    takes them over. `timeout_s` (seconds) limits every collective in which nothing arrives; it must exceed
    the longest time that a rank may keep the others waiting.

    Raises:
        ValueError: `connections` or `timeout_s` is not valid.
        PeerLost: a peer is lost.
    """

    def __init__(
        self, rank: int, connections: Sequence[Optional[socket.socket]], timeout_s: float = 60.0
    ) -> None:
        size = len(connections)
        if not 0 <= rank < size or [each for each in range(size) if connections[each] is None] != [rank]:
            raise ValueError(f"rank {rank} of {size}: give a connection to each other rank, and None for it")
        closed = [peer for peer, each in enumerate(connections) if each is not None and each.fileno() < 0]
        if closed:
            raise ValueError(f"the connections to ranks {closed} are closed: give open ones")
        if timeout_s <= 0:
            raise ValueError(f"timeout_s {timeout_s}: give seconds above 0")
        self.rank, self.size = rank, size
        self._names = []  # type: List[str]
        explain = functools.partial(_lost, f"rank {rank} of {size}", self._names)
        sockets = [-1 if each is None else each.detach() for each in connections]
        self._native = _Native(rank, sockets, max(1, min(int(timeout_s * 1000), _LONGEST)), explain)
        name = f"{rank} ({socket.gethostname()}, pid {os.getpid()})"
        self._names.extend(each.decode() for each in self.all_gather(name.encode()))

    def broadcast_weights(self, solver: Any) -> None:
        """Copy rank 0's parameters to all ranks, whose networks must have the same parameters.

        Raises:
            ValueError: the networks differ.
            PeerLost: a peer is lost.
        """
        self._require_same_parameters(solver)
        self._native.broadcast_weights(solver)

    def attach(self, solver: Any, way: str = FLOAT32) -> None:
        """Average the solver's gradients over all ranks in every step, before the update.

        They are sent during the backward pass, in the solver's own thread. Where Caffe computes on a GPU,
        they are copied, and averaged at its end. Either way the weights are bit-identical on all ranks. By
        FLOAT16 every rank's gradients are rounded to 11 significant bits, from 6e-8 to 65,504; larger ones
        become infinite. Parameters whose lr_mult is 0 are left out, unless clip_gradients counts them.

        Ranks that can see each other's memory use it instead of their connection. Do not take NumPy views of
        `net.params[…].diff` before this call, since the gradients move into one buffer. The group lives at
        least as long as the solver; do not run the backward pass of a net that has outlived its solver.

        Raises:
            ValueError: the networks or the ways differ, or a solver is attached already.
            PeerLost: a peer is lost.
        """
        if way not in (FLOAT32, FLOAT16, BARRIER):
            raise ValueError(f"{way!r}: give {FLOAT32!r} or {FLOAT16!r}")
        self._require_same_parameters(solver, way)
        files = [-1] * self.size
        try:
            if way != BARRIER:
                self._share_memory(solver, way, files)
            self._native.attach(solver, way, files)
        finally:
            for file in files:
                if file >= 0:
                    os.close(file)

    def allreduce_mean(self, array: Any) -> "np.ndarray":
        """Return the mean over all ranks of an array that has the same shape on each.

        The result is float32 for float32 input, and float64 otherwise.

        Raises:
            PeerLost: a peer is lost.
        """
        given = np.asarray(array)
        result = np.array(given, dtype=given.dtype if given.dtype == np.float32 else np.float64, order="C")
        self._native.allreduce_mean(result)
        return result

    def all_gather(self, mine: bytes) -> List[bytes]:
        """Return the bytes of all ranks, in their order.

        Raises:
            PeerLost: a peer is lost.
        """
        lengths = self._rows(1, np.asarray([len(mine)]))[:, 0]
        table = self._rows(int(lengths.max()), np.frombuffer(mine, np.uint8))
        return [table[rank, :length].astype(np.uint8).tobytes() for rank, length in enumerate(lengths)]

    def _rows(self, width: int, values: Any) -> Any:
        """Gather rows of whole numbers by means: each rank fills its row of zeros."""
        table = np.zeros((self.size, width))
        table[self.rank, : values.size] = values
        return np.rint(self.allreduce_mean(table) * self.size).astype(np.int64)

    def barrier(self) -> None:
        """Wait until every rank has called it.

        Raises:
            PeerLost: a peer is lost.
        """
        self._native.barrier()

    @property
    def waited_s(self) -> float:
        """Total seconds that steps have waited for communication."""
        return float(self._native.waited)

    def record(self) -> None:
        """Record the steps from now on; see `steps`."""
        self._native.record()

    def steps(self) -> List[Tuple[float, float]]:
        """Return when each recorded step had this rank's gradients, and when the average.

        In seconds of the machine's monotonic clock.
        """
        return list(self._native.steps())

    def close(self) -> None:
        """Close the connections; further collectives and steps of the attached solver raise `PeerLost`."""
        self._native.close()

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _gather(self, mine: Any) -> List[Any]:
        return [json.loads(each.decode()) for each in self.all_gather(json.dumps(mine).encode())]

    def _require_same_parameters(self, solver: Any, way: str = "") -> None:
        if self.size == 1:
            return
        shapes = [[name] + [list(blob.shape) for blob in blobs] for name, blobs in solver.net.params.items()]
        mine = json.dumps([way, shapes]).encode()
        for rank, theirs in enumerate(self.all_gather(mine)):
            if theirs != mine:
                raise ValueError(
                    f"rank {rank} has other parameters or another way than rank {self.rank}: "
                    f"{theirs.decode()[:300]} and {mine.decode()[:300]}"
                )

    def _share_memory(self, solver: Any, way: str, files: List[int]) -> None:
        """Fill in file descriptors of the memory of the ranks that this one shares memory with.

        A rank's memory has no name: peers open it through /proc, which lets those do that may read this
        process's memory. Both of a pair have to see each other; a nonce tells that it is the right process.
        A rank without memory to share uses its connections.
        """
        elements = self._native.elements_of(solver)
        size = self._native.outbox_bytes(elements, way == FLOAT16)
        nonce, fits = os.urandom(_NONCE), size <= MOST_SHARED
        own = self._native.memory_file(max(size, _NONCE)) if fits else -1
        files[self.rank] = own
        if own >= 0:
            os.pwrite(own, nonce, 0)
        card = {"pid": os.getpid(), "fd": own, "nonce": nonce.hex(), "bytes": size}
        for rank, peer in enumerate(self._gather(card)):
            if rank != self.rank and own >= 0 and peer["fd"] >= 0 and peer["bytes"] == size:
                files[rank] = _open(peer["pid"], peer["fd"], bytes.fromhex(peer["nonce"]))
        seen = self._gather([file >= 0 for file in files])
        for rank, file in enumerate(files):
            if file >= 0 and not seen[rank][self.rank]:
                os.close(file)
                files[rank] = -1
        if sum(file >= 0 for file in files) == 1:
            os.close(own)
            files[self.rank] = -1


def _open(pid: int, file: int, nonce: bytes) -> int:
    """Open the memory of a process of this machine; return -1 where it is not there, or not to be opened."""
    path = f"/proc/{pid}/fd/{file}"
    try:
        # On another machine that process is anybody's, and to open its terminal or device may have effects.
        if os.readlink(path) != _MEMORY:
            return -1
        found = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        if os.pread(found, _NONCE, 0) == nonce:
            return found
    except OSError:
        pass
    os.close(found)
    return -1


def _lost(who: str, names: List[str], doing: str, why: str, ranks: List[int]) -> PeerLost:
    """Create the exception for a failed collective."""
    if not ranks:
        return PeerLost(f"{who} failed while {doing}: {why}", ranks)
    named = [names[each] if names else str(each) for each in ranks]
    which = "rank " + named[0] if len(named) == 1 else "one of ranks " + ", ".join(named)
    return PeerLost(f"{who} lost {which} while {doing}: {why}", ranks)
