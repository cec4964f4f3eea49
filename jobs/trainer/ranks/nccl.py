"""Gradients averaged by NCCL, from GPU to GPU. All else between ranks goes through `group.Peers`."""

from __future__ import annotations

import os
from typing import Any

from jobs.trainer.ranks.group import Exchange

ETHERNET = "ethernet"
"""-connection that keeps NCCL off InfiniBand."""


def attach(solver: Any, exchange: Exchange, connection: str) -> Any:  # noqa: ANN401 - pycaffe has no types
    """Average a solver's gradients over all ranks before each update; return what has to live as long as it.

    Every rank calls it, with the weights of rank 0. The average is taken once a step, after the last of its
    iter_size passes: Caffe's layer-wise reduction would average each pass's sum again, and aborts where
    layers share weights.
    """
    import caffe

    if connection.lower() == ETHERNET:
        os.environ["NCCL_IB_DISABLE"] = "1"
    first = exchange.rank == 0
    uid = exchange.bytes(caffe.NCCL.new_uid() if first else b"")[0]
    caffe.set_solver_count(exchange.size)
    caffe.set_solver_rank(exchange.rank)
    caffe.set_multiprocess(True)
    nccl = caffe.NCCL(solver, uid)
    nccl.bcast()
    solver.add_callback(nccl)
    return nccl
