"""Gradient averaging over all ranks of a training job, for pycaffe solvers, on the CPU.

    group = caffe_allreduce.Group(rank, size, address, exchange, timeout_s=60)
    group.broadcast_weights(solver)      # all ranks start from rank 0's weights
    group.attach(solver)                 # every step averages the gradients before the update
    solver.step(100)                     # weights stay bit-identical on all ranks
    means = group.allreduce_mean(means)  # e.g. validation accuracy and loss
    group.close()

Every call that communicates is collective: all ranks make the same calls in the same order, between steps.
The transport is libgloo over TCP. If a peer is lost, or silent for `timeout_s`, the current call of the
other ranks raises `PeerLost`, and the group can no longer be used. With more than two ranks the peer named
may only have lost another one: compare the errors of all ranks.
"""

# ruff: noqa: ANN401 - pycaffe has no types

import base64
import functools
import json
import os
import re
import socket
from typing import Any, Callable, Dict, List

import caffe  # noqa: F401 - loads libcaffe and registers the solver's type, both of which _native needs
import numpy as np

from ._native import Group as _Native  # type: ignore[import-not-found]

__all__ = ["Group", "PeerLost"]

Exchange = Callable[[bytes], List[bytes]]
"""A collective all-gather of bytes: takes this rank's and returns those of all ranks in rank order."""

_PEER = re.compile(r"\[([^\[\]]+)\]:(\d+)")
_SOURCE = re.compile(r"^\[[^\]]*:\d+\] ")


class PeerLost(RuntimeError):
    """A collective did not complete; `ranks` lists the peers that may be lost."""

    def __init__(self, message: str, ranks: List[int]) -> None:
        super().__init__(message)
        self.ranks = ranks


class Group:
    """A fully connected group of `size` ranks, each a process with its own solver.

    `address` is this rank's IP address or host name on the cluster's network; the group binds to it, so that
    traffic uses that interface. `exchange` is called here and in `attach`. `timeout_s` (seconds) limits
    connecting and every collective; it must exceed the longest time that a rank may keep the others waiting.

    Raises:
        ValueError: rank, size or address is not valid, or the ranks disagree on the size.
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
        """Copy rank 0's parameters to all ranks, whose networks must have the same parameters.

        Raises:
            ValueError: the networks differ.
            PeerLost: a peer is lost.
        """
        self._require_same_parameters(solver)
        self._native.broadcast_weights(solver)

    def attach(self, solver: Any, overlap: bool = True) -> None:
        """Average the solver's gradients over all ranks in every step, before the update.

        With `overlap` a separate thread communicates during the backward pass. Without it, and where Caffe
        computes on a GPU, the step waits for one all-reduce at its end, to which gradients are copied.
        Either way the weights are bit-identical on all ranks, provided that all ranks use the same mode. Do
        not take NumPy views of `net.params[…].diff` before this call, since overlapping moves the gradients
        into one buffer. The group lives at least as long as the solver; do not run the backward pass of a
        net that has outlived its solver.

        Raises:
            ValueError: the networks differ, or a solver is attached already.
            PeerLost: a peer is lost.
        """
        self._require_same_parameters(solver, str(bool(overlap)))
        self._native.attach(solver, overlap)

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

    def close(self) -> None:
        """Close the connections; further collectives and steps of the attached solver raise `PeerLost`."""
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
    """Create the exception for a failed collective; gloo's message names a peer's address at best."""
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
