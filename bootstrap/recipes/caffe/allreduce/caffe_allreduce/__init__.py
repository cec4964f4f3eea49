"""Gradient averaging over all ranks of a training job, for pycaffe solvers on CPUs.

    group = caffe_allreduce.Group(rank, size, address, exchange, timeout_s=60)
    group.broadcast_weights(solver)      # all ranks start from rank 0's weights
    group.attach(solver)                 # from now on every step averages gradients before the update
    solver.step(100)                     # weights stay bit-identical on all ranks
    means = group.allreduce_mean(means)  # e.g. validation accuracy and loss
    group.close()

Every call that communicates is collective: all ranks make the same calls in the same order, between steps.
The transport is libgloo over TCP. A peer that is lost, or silent for `timeout_s`, raises `PeerLost` in the
others' current call; the group cannot be used afterwards.
With more than two ranks the one named may itself only have lost another: compare all ranks' errors.
"""

# ruff: noqa: ANN401 - pycaffe has no types

import base64
import functools
import json
import os
import re
import socket
from typing import Any, Callable, Dict, List

import caffe  # noqa: F401 - loads libcaffe and registers the solver's type before _native needs them
import numpy as np

from ._native import Group as _Native  # type: ignore[import-not-found]

__all__ = ["Group", "PeerLost"]

Exchange = Callable[[bytes], List[bytes]]
"""One collective all-gather of bytes: takes this rank's, gives all ranks' in rank order."""

_PEER = re.compile(r"\[([^\[\]]+)\]:(\d+)")
_SOURCE = re.compile(r"^\[[^\]]*:\d+\] ")


class PeerLost(RuntimeError):
    """A collective did not complete: `ranks` are those that may be gone."""

    def __init__(self, message: str, ranks: List[int]) -> None:
        super().__init__(message)
        self.ranks = ranks


class Group:
    """`size` ranks, each a process with a solver of its own, connected all to all.

    `address` is this rank's own IP address or host name on the cluster's network; it is bound, so traffic
    takes that interface. `exchange` is used here and in `attach`. `timeout_s` (seconds) bounds connecting
    and every collective; it must be longer than the longest time for which a rank may keep others waiting.

    Raises:
        ValueError: rank, size or address is not possible, or the ranks do not agree on size.
        PeerLost: a peer cannot be reached.
    """

    def __init__(
        self, rank: int, size: int, address: str, exchange: Exchange, timeout_s: float = 60.0
    ) -> None:
        if not 0 <= rank < size:
            raise ValueError(f"rank {rank} of {size}: give 0 <= rank < size")
        if timeout_s <= 0:
            raise ValueError(f"timeout_s {timeout_s}: give seconds above 0")
        self.rank, self.size, self._exchange = rank, size, exchange
        peers = []  # type: List[Dict[str, Any]]
        explain = functools.partial(_lost, rank, size, peers)
        try:
            self._native = _Native(rank, size, address, max(1, int(timeout_s * 1000)), explain)
        except RuntimeError as error:
            raise ValueError(f"address {address!r} of rank {rank}: {error}") from None
        if size == 1:
            return
        mine = {
            "rank": rank,
            "size": size,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "names": list(self._native.names()),
            "addresses": [base64.b64encode(each).decode() for each in self._native.addresses()],
        }
        peers.extend(json.loads(each.decode()) for each in exchange(json.dumps(mine).encode()))
        found = [(peer["rank"], peer["size"]) for peer in peers]
        if found != [(each, size) for each in range(size)]:
            self.close()
            raise ValueError(f"exchange gave (rank, size) {found}, not all ranks of {size} in order")
        self._native.connect([base64.b64decode(peer["addresses"][rank]) for peer in peers])

    def broadcast_weights(self, solver: Any) -> None:
        """Give every rank rank 0's parameters. The solvers' networks must have the same parameters.

        Raises:
            ValueError: they do not.
            PeerLost: a peer is gone.
        """
        self._require_same_parameters(solver)
        self._native.broadcast_weights(solver)

    def attach(self, solver: Any, overlap: bool = True) -> None:
        """Average the solver's gradients over all ranks in every step, before the update.

        With `overlap` a thread of its own communicates while backward still runs; without it the step
        waits for one all-reduce at its end. The weights are the same bits on every rank either way, as
        long as all ranks use the same mode. Take no NumPy views of `net.params[…].diff` before this call:
        gradients move into one buffer. The group lives at least as long as the solver; do not run
        backward on a net that has outlived its solver.

        Raises:
            ValueError: the ranks' networks differ, the mode is GPU, or a solver is attached already.
            PeerLost: a peer is gone.
        """
        self._require_same_parameters(solver, str(bool(overlap)))
        self._native.attach(solver, overlap)

    def allreduce_mean(self, array: Any) -> "np.ndarray":
        """The mean over all ranks of an array of the same shape on each, as a new array.

        float32 stays so; everything else becomes float64.

        Raises:
            PeerLost: a peer is gone.
        """
        given = np.asarray(array)
        result = np.array(given, dtype=given.dtype if given.dtype == np.float32 else np.float64, order="C")
        self._native.allreduce_mean(result)
        return result

    def barrier(self) -> None:
        """Return when every rank has called it.

        Raises:
            PeerLost: a peer is gone.
        """
        self._native.barrier()

    @property
    def waited_s(self) -> float:
        """Seconds that steps have waited for communication so far."""
        return float(self._native.waited)

    def close(self) -> None:
        """Close the connections; later collectives and steps of the attached solver raise `PeerLost`."""
        self._native.close()

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _require_same_parameters(self, solver: Any, mode: str = "") -> None:
        if self.size == 1:
            return
        shapes = [[name] + [list(blob.shape) for blob in blobs] for name, blobs in solver.net.params.items()]
        mine = json.dumps([mode, shapes]).encode()
        for rank, theirs in enumerate(self._exchange(mine)):
            if theirs != mine:
                raise ValueError(
                    f"rank {rank} has other parameters or another mode than rank {self.rank}: "
                    f"{theirs.decode()[:300]} and {mine.decode()[:300]}"
                )


def _lost(rank: int, size: int, peers: List[Dict[str, Any]], doing: str, why: str) -> PeerLost:
    """The exception for a failed collective; gloo's reason names a peer's address at best."""
    others = [each for each in range(size) if each != rank]
    why, ranks = _SOURCE.sub("", why), others
    for match in _PEER.finditer(why):
        exact = [each for each in others if any(match.group(0) in name for name in peers[each]["names"])]
        host = f"[{match.group(1)}]"
        same_host = [each for each in others if any(host in name for name in peers[each]["names"])]
        ranks = exact or same_host or ranks
    named = ["{} ({}, pid {})".format(each, peers[each]["host"], peers[each]["pid"]) for each in ranks]
    which = "rank " + named[0] if len(named) == 1 else "one of ranks " + ", ".join(named)
    return PeerLost(f"rank {rank} of {size} lost {which} while {doing}: {why}", ranks)
