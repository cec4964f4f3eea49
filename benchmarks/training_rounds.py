"""Program of `training.py`, a script job: RANKS ROUNDS SECONDS MODES NETS TORCH; NETS are JSON.

A barrier stage a round has all modes of Caffe in turn, on batches that stay; PyTorch's are stages of their
own. Prints a line of JSON for each measurement of each rank.
"""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

MARK = "measured "
BY_TORCH, BY_CAFFE_ALONE, ALONE = "ddp", "caffe", "none"
STEPWISE, READY = "stepwise", "ready"
"""Steps of float32 one by one, as training runs them; and with what a rank does for the loss of another."""
CAFFE = "/opt/caffe"
WARM_UP, LEAST = 5, 10
"""Steps before those that are measured, and fewest of these."""
SNAPSHOT_S = 30.0
"""Seconds of READY between two snapshots; the first one comes after half of them."""
BLOCK_S = 3.0
"""Seconds of STEPWISE and READY in turn: a machine's speed drifts, by more than being ready costs."""
Net = dict[str, Any]
"""`layers` as texts, and of a step of a rank the `batch` of records and their `shape`."""


# Weights hardly change: numbers that become denormal would slow the steps down.
SOLVER = """
net: "{}" base_lr: 1e-6 momentum: 0.9 weight_decay: 0.0005 lr_policy: "fixed" max_iter: {} display: {}
solver_mode: CPU random_seed: 1
"""


class Order(NamedTuple):
    """Modes in their order, and what they need."""

    modes: list[str]
    nets: dict[str, Net]
    seconds: float
    storage: str
    """URI of a folder for snapshots."""
    steps: dict[str, int]


class Usage:
    """What this process uses between two moments."""

    def __init__(self) -> None:
        self._before, self._began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()

    def figures(self, steps: int) -> dict[str, float]:
        """Return seconds, and by step milliseconds of CPU and context switches."""
        seconds, now = time.monotonic() - self._began, resource.getrusage(resource.RUSAGE_SELF)
        cpu = now.ru_utime + now.ru_stime - self._before.ru_utime - self._before.ru_stime
        switches = now.ru_nvcsw + now.ru_nivcsw - self._before.ru_nvcsw - self._before.ru_nivcsw
        return {"seconds": seconds, "cpu_ms": 1000 * cpu / steps, "switches": switches / steps}


def solver_of(net: Net, folder: Path) -> Any:  # noqa: ANN401 - pycaffe has no types
    """Make a solver with a random batch of its own, which stays."""
    import caffe
    import numpy as np

    batch, shape = net["batch"], net["shape"]
    given = "batch_size: {} channels: {} height: {} width: {}".format(batch, *shape)
    data = 'layer {{ name: "data" type: "MemoryData" top: "data" top: "label" memory_data_param {{ {} }} }}'
    (folder / "net").write_text("\n".join([data.format(given), *net["layers"]]))
    (folder / "solver").write_text(SOLVER.format(folder / "net", 10**6, 0))
    solver = caffe.SGDSolver(str(folder / "solver"))
    random = np.random.RandomState(os.getpid())
    labels = random.randint(0, 10, (batch,))
    arrays = random.rand(batch, *shape).astype(np.float32), labels.astype(np.float32)
    solver.net.set_input_arrays(*arrays)
    return solver, arrays


class Ready:
    """What training does between steps for the loss of a rank: questions, notices, snapshots.

    By the classes of training; the JVM that uploads is started first, as a job starts it once. The clock of
    snapshots runs in a `with` block, which ends when they are stored.
    """

    def __init__(self, rank: int, solver: Any, folder: Path, storage: str, group: Any) -> None:  # noqa: ANN401
        import numpy as np

        from jobs.trainer.files.store import Store
        from jobs.trainer.ranks.agreement import Agreement
        from jobs.trainer.ranks.snapshots import Snapshots
        from jobs.trainer.ranks.uploads import Uploads
        from jobs.trainer.ranks.wishes import Wishes

        self._rank, self._solver, self._folder = rank, solver, folder
        self._stored: list[object] = []
        self._done = 0
        job = SimpleNamespace(snapshot=0, snapshot_after_train=False, max_iter=10**6)
        job.snapshot_prefix, job.suffix = "ready", ""
        store = Store()
        if rank == 0:
            (folder / "first").write_text("")
            store.put(folder / "first", storage + "/first")
        self._uploads = Uploads(self._stored.append, store=store)
        self._before, self._since = SNAPSHOT_S / 2, time.monotonic()
        given: Any = (job, self, self._uploads, folder, storage + "/model")
        self._snapshots = Snapshots(*given, every=SNAPSHOT_S, clock=self._clock)
        self._snapshots._last = 0.0
        wishes = Wishes(
            rank, socket.gethostname(), lambda _: None, lambda: [], self._snapshots.timely, clocked=True
        )
        self._agreement = Agreement(0, lambda values: np.asarray(group.allreduce_mean(values)), wishes)

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._uploads.settle()
        self._before = self._clock()

    def _clock(self) -> float:
        return self._before + time.monotonic() - self._since

    def snapshot(self) -> list[Path]:
        """Write weights and state; return the files, as `native.Trainer.snapshot`."""
        here = Path.cwd()
        os.chdir(self._folder)
        try:
            self._solver.snapshot()
        finally:
            os.chdir(here)
        return [next(self._folder.glob("*_iter_*" + kind)) for kind in (".caffemodel", ".solverstate")]

    def after_step(self) -> None:
        """Ask the other ranks, if it is time; take a snapshot, if one of them wants it."""
        self._done += 1
        if self._agreement.after(self._done).snapshot and self._rank == 0:
            self._snapshots.take(self._done, 0, 1)

    def close(self) -> int:
        """Return the number of snapshots that are stored."""
        self._uploads.settle()
        self._uploads.close()
        return len(self._stored)


def one_by_one(solver: Any, steps: int, ready: Ready | None) -> None:  # noqa: ANN401
    """Run steps as training does, with what it does between them where `ready` is given."""
    for _ in range(steps):
        solver.step(1)
        if ready:
            ready.after_step()


class Rounds:
    """Modes of Caffe on one rank of a barrier stage."""

    def __init__(self, folder: Path, token: bytes, order: Order) -> None:
        from pyspark import BarrierTaskContext

        from jobs.trainer.ranks.group import Exchange

        self.context = BarrierTaskContext.get()
        tasks = self.context.getTaskInfos()
        self.rank, self.size = self.context.partitionId(), len(tasks)
        self.address = tasks[self.rank].address.rpartition(":")[0]
        self.exchange = Exchange(self.rank, self.size, self.context.allGather)
        self.folder, self.token = folder, token
        _, self.nets, self.seconds, self.storage, steps = order
        self.steps = dict(steps)
        self.meeting = self.peers()
        self.exchange.through(self.meeting.all_gather)

    def peers(self) -> Any:  # noqa: ANN401
        """Return a group of the ranks."""
        from jobs.trainer.ranks.group import Peers

        return Peers(self.address, self.exchange, self.token, 60)

    def measure(self, net: str, mode: str) -> dict[str, Any]:
        """Measure a mode: as many steps as an earlier measurement of the net has found for the seconds."""
        if mode == BY_CAFFE_ALONE:
            return self.by_caffe_alone(net)
        solver, _kept = solver_of(self.nets[net], self.folder)
        group = None if mode == ALONE else self.peers()._group
        if group:
            group.attach(solver, mode)
        solver.step(WARM_UP)
        if net not in self.steps:
            usage = Usage()
            solver.step(WARM_UP)
            wanted = WARM_UP * self.seconds / usage.figures(1)["seconds"]
            self.steps[net] = max(LEAST, int(max(self.exchange.json(wanted))))
        steps = self.steps[net]
        if group:
            group.record()
        self.meeting._group.barrier()
        usage = Usage()
        solver.step(steps)
        figures = usage.figures(steps)
        figures["together"] = max(self.exchange.json(figures["seconds"]))
        if group:
            figures.update(self.apart(group.steps()))
            group.close()
        return {"steps": steps, **figures}

    def measure_ready(self, net: str) -> dict[str, dict[str, Any]]:
        """Measure STEPWISE and READY, in short blocks in turn; a block ends with all ranks."""
        solver, _kept = solver_of(self.nets[net], self.folder)
        group = self.peers()._group
        group.attach(solver, "float32")
        solver.step(WARM_UP)
        blocks = max(2, round(self.seconds / BLOCK_S))
        steps = max(LEAST, self.steps[net] // blocks)
        ready = Ready(self.rank, solver, self.folder, self.storage, group)
        sums: dict[str, dict[str, float]] = {STEPWISE: defaultdict(float), READY: defaultdict(float)}
        for number in range(2 * blocks):
            # Each is as often the first as the second of two.
            mode = (STEPWISE, READY)[(number + 1) // 2 % 2]
            self.meeting._group.barrier()
            usage = Usage()
            with ready if mode == READY else nullcontext():
                one_by_one(solver, steps, ready if mode == READY else None)
                figures = usage.figures(steps * blocks)
            figures["together"] = max(self.exchange.json(usage.figures(1)["seconds"]))
            for name, figure in figures.items():
                sums[mode][name] += figure
        sums[READY]["snapshots"] = ready.close()
        group.close()
        return {mode: {"steps": steps * blocks, **figures} for mode, figures in sums.items()}

    def apart(self, mine: list[tuple[float, float]]) -> dict[str, float]:
        """Return milliseconds by step: until the last rank was ready, and from then until all were done."""
        every = self.exchange.json(mine)
        waits, sends = 0.0, 0.0
        for number, (ready, _) in enumerate(mine):
            last = max(steps[number][0] for steps in every)
            waits += last - ready
            sends += max(steps[number][1] for steps in every) - last
        return {"straggler_ms": 1000 * waits / len(mine), "communication_ms": 1000 * sends / len(mine)}

    def by_caffe_alone(self, net: str) -> dict[str, Any]:
        """Run a process of `caffe train` for each rank; its log has the seconds."""
        batch, shape, steps = self.nets[net]["batch"], self.nets[net]["shape"], self.steps[net]
        dims = " ".join(f"dim: {side}" for side in (batch, *shape))
        given = "shape {{ {} }} shape {{ dim: {} }} data_filler {{ value: 0.5 }} data_filler {{ value: 1 }}"
        data = 'layer {{ name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {{ {} }} }}'
        (self.folder / "net").write_text(
            "\n".join([data.format(given.format(dims, batch)), *self.nets[net]["layers"]])
        )
        (self.folder / "solver").write_text(SOLVER.format(self.folder / "net", 2 * steps + 1, steps))
        self.meeting._group.barrier()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [CAFFE + "/bin/caffe", "train", "--solver", str(self.folder / "solver")],
            env={**os.environ, "GLOG_minloglevel": "0"},
            cwd=str(self.folder),
            capture_output=True,
            text=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = float(re.findall(r"iter/s, ([0-9.]+)s/", done.stderr)[-1])
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "steps": steps,
            "seconds": seconds,
            "together": max(self.exchange.json(seconds)),
            "cpu_ms": 1000 * cpu / (2 * steps),
        }


def caffe_round(token: bytes, order: Order) -> Callable[[Iterator[Any]], Iterator[dict[str, Any]]]:
    """Return the body of a barrier task that measures the modes."""

    def body(_: Iterator[Any]) -> Iterator[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            rounds = Rounds(Path(folder), token, order)
            for net in order.nets:
                for mode in order.modes:
                    found = rounds.measure_ready(net) if mode == READY else {mode: rounds.measure(net, mode)}
                    who = {"rank": rounds.rank, "host": socket.gethostname()}
                    for name, figures in found.items():
                        yield {"net": net, "mode": name, **who, **figures}
            rounds.meeting.close()

    return body


def by_torch(name: str, net: Net, steps: int) -> list[dict[str, Any]] | None:
    """Train the same net by DistributedDataParallel over gloo; rank 0 returns the figures of all."""
    import torch
    import torch.distributed as dist
    from torch import nn

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(rank)
    if name == "LeNet":
        layers = [nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten()]
        layers += [nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)]
    else:
        layers = [nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU()]
        layers += [nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True)]
        layers += [nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True)]
        layers += [nn.Flatten(), nn.Linear(1024, 64), nn.Linear(64, 10)]
    model = nn.parallel.DistributedDataParallel(nn.Sequential(*layers))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9, weight_decay=0.0005)
    batch, shape = net["batch"], net["shape"]
    images, labels = torch.rand(batch, *shape), torch.randint(0, 10, (batch,))
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()

    for _ in range(WARM_UP):
        step()
    dist.barrier()
    usage = Usage()
    for _ in range(steps):
        step()
    figures: dict[str, Any] = {"rank": rank, "host": socket.gethostname(), "steps": steps}
    figures.update(usage.figures(steps))
    every: list[Any] = [None] * size
    dist.all_gather_object(every, figures)
    dist.destroy_process_group()
    for each in every:
        each["together"] = max(one["seconds"] for one in every)
    return every if rank == 0 else None


def main() -> None:
    """Run the rounds; the first one finds the steps of each net, and is not shown."""
    from pyspark.sql import SparkSession

    from jobs.trainer.ranks.proof import new_token

    size, rounds, seconds = int(sys.argv[-6]), int(sys.argv[-5]), float(sys.argv[-4])
    modes, nets, torch = sys.argv[-3].split(","), json.loads(sys.argv[-2]), sys.argv[-1]
    path = (torch + ":" if torch != "-" else "") + f"{CAFFE}/python"
    spark = SparkSession.builder.config("spark.executorEnv.PYTHONPATH", path).getOrCreate()
    context: Any = spark.sparkContext
    steps: dict[str, int] = {}
    storage = context._jsc.hadoopConfiguration().get("fs.defaultFS").rstrip("/") + "/jobs/training-rounds"
    if torch != "-":
        sys.path.append(torch)

    def stage(modes_in_turn: list[str]) -> list[dict[str, Any]]:
        body = caffe_round(new_token(), Order(modes_in_turn, nets, seconds, storage, steps))
        return list(context.parallelize(range(size), size).barrier().mapPartitions(body).collect())

    for each in stage(["barrier"]):
        steps[each["net"]] = each["steps"]
    for number in range(rounds):
        own = [mode for mode in modes if mode != BY_TORCH]
        shift = number % len(own)
        found = stage(own[shift:] + own[:shift])
        if BY_TORCH in modes:
            from pyspark.ml.torch.distributor import TorchDistributor

            for net in nets:
                distributor = TorchDistributor(num_processes=size, local_mode=False, use_gpu=False)
                for each in distributor.run(by_torch, net, nets[net], steps[net]) or []:
                    found.append({"net": net, "mode": BY_TORCH, **each})
        for each in found:
            print(MARK + json.dumps({"round": number, **each}), flush=True)


if __name__ == "__main__":
    main()
