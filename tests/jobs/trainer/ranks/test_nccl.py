"""Gradients averaged by NCCL: what a rank tells Caffe, over a stand-in for it."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.ranks import nccl
from jobs.trainer.ranks.group import Exchange

UID = bytes(range(128))


class Caffe:
    """pycaffe with NCCL; what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        for name in ("set_solver_count", "set_solver_rank", "set_multiprocess"):
            setattr(self, name, lambda value, name=name: self.told.append((name, value)))
        told = self.told

        class Group:
            new_uid = staticmethod(lambda: UID)

            def __init__(self, _solver: Any, uid: bytes) -> None:
                told.append(("joined", uid))

            def bcast(self) -> None:
                told.append(("bcast",))

        self.NCCL = Group


@pytest.mark.parametrize("rank", [0, 1])
def test_all_ranks_join_by_the_first_ones_id_before_the_solver_averages(
    monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    caffe, callbacks = Caffe(), list[Any]()
    monkeypatch.setitem(sys.modules, "caffe", caffe)
    sent: list[bytes] = []
    exchange = Exchange(rank, 2, lambda _: [])

    def exchanged(mine: bytes) -> list[bytes]:
        sent.append(mine)
        return [UID, b""]

    monkeypatch.setattr(exchange, "bytes", exchanged)

    group = nccl.attach(SimpleNamespace(add_callback=callbacks.append), exchange, "rdma")

    assert sent == [UID if rank == 0 else b""]
    assert caffe.told == [
        ("set_solver_count", 2),
        ("set_solver_rank", rank),
        ("set_multiprocess", True),
        ("joined", UID),
        ("bcast",),
    ]
    assert callbacks == [group]


@pytest.mark.parametrize(
    ("connection", "disabled"), [("Ethernet", "1"), ("infiniband", None), ("RDMA", None)]
)
def test_ethernet_keeps_nccl_off_infiniband(
    monkeypatch: pytest.MonkeyPatch, connection: str, disabled: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "caffe", Caffe())
    monkeypatch.setitem(os.environ, "NCCL_IB_DISABLE", "0")
    monkeypatch.delitem(os.environ, "NCCL_IB_DISABLE")

    nccl.attach(SimpleNamespace(add_callback=id), Exchange(0, 1, lambda _: []), connection)

    assert os.environ.get("NCCL_IB_DISABLE") == disabled
