"""Input of the ranks of a training stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Optional, Tuple

from jobs.trainer import contract
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.events.channel import Address
from jobs.trainer.files.fence import Fence
from jobs.trainer.ranks import nccl
from jobs.trainer.ranks.snapshots import Whole


@dataclass(frozen=True)
class Plan:
    """Input of every rank. Files are names for `distribution.locate`.

    Those of a snapshot are URIs where a rank fetches them itself: Spark's files are for ever, and executors
    that come later would fetch those of each attempt.
    """

    job: TrainingJob
    size: int
    channel: Address
    train: str
    tests: Tuple[str, ...]
    """Sources of the TEST nets, empty where a net is not validated."""
    weights: Tuple[str, ...]
    snapshot: str
    snapshot_name: str
    """As it was written: an HDF5 snapshot refers to its weights by it."""
    feed: str
    """State of the feed beside the snapshot; empty without one."""
    model: str
    """Absolute URI of the final weights."""
    timeout_s: float
    token: bytes = field(repr=False)
    """Proves a rank to its peers; see `proof`."""
    communicate: bool = True
    """False: every rank trains alone, to measure the cost of communication."""
    gradients: str = contract.FLOAT32
    """Precision of gradients on their way, one of `contract.GRADIENTS`."""
    by_nccl: bool = False
    """Gradients are averaged by NCCL."""
    connection: str = nccl.ETHERNET
    """-connection, for NCCL."""
    fence: Optional[Fence] = None
    """Of this attempt at training; None where there is no other."""
    snapshot_every: float = 0.0
    """Seconds between snapshots, beside the solver's; 0 for none."""
    timed: Tuple[Whole, ...] = ()
    """Snapshots that the clock has asked for in earlier attempts."""
    goes_on: bool = False
    """The snapshot is an earlier attempt's, which may have done the last iteration."""

    @property
    def per_iteration(self) -> int:
        """Records of all ranks in an iteration."""
        return self.job.train.batch * self.job.iter_size * self.size


class RankHost(NamedTuple):
    """A rank, its host, and its address for peers."""

    rank: int
    host: str
    address: str
