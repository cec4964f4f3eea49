"""Program of `feed.py` for the Python that imports Caffe: FOLDER ROUNDS SECONDS."""

from __future__ import annotations

import statistics
import struct
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import numpy as np
from nets import CAFFENET, LENET, LOSS, QUICK

from jobs.trainer.caffe import native
from jobs.trainer.caffe.feed import Feed
from jobs.trainer.caffe.prototxt import TrainingJob, load
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.shards import training_batches

SOLVER = """
net: "net" base_lr: 1e-6 lr_policy: "fixed" max_iter: 1000000 momentum: 0.9 display: 0 random_seed: 1
"""
DATA = """
layer {{ name: "data" type: "MemoryData" top: "data" top: "label" source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param {{ source: "file:{}" batch_size: {} channels: {} height: {} width: {} }}
  transform_param {{ {} }} }}
"""


class Case(NamedTuple):
    """A net, its batch, and the shape and transformation of its records."""

    name: str
    layers: list[str]
    batch: int
    shape: tuple[int, int, int]
    transform: str
    encoded: bool = False


CASES = [
    Case("LeNet", LENET, 64, (1, 28, 28), "scale: 0.00390625"),
    Case("CIFAR-10 quick", QUICK, 100, (3, 32, 32), "mean_value: 120"),
    Case(
        "CaffeNet", CAFFENET, 16, (3, 227, 227), "crop_size: 227 mirror: true mean_value: 120", encoded=True
    ),
]


def png(random: np.random.RandomState) -> bytes:
    """Return a colour image of 256x256."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    ramp = np.add.outer(np.arange(256), np.arange(256 * 3)) + random.randint(0, 8, (256, 768))
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in ramp)
    header = struct.pack(">IIBBBBB", 256, 256, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def prepare(case: Case, folder: Path) -> TrainingJob:
    """Write records, net and solver."""
    pb, random = native.protos(), np.random.RandomState(1)
    with lmdb.open(str(folder / "lmdb"), map_size=1 << 30) as env, env.begin(write=True) as transaction:
        for number in range(128 if case.encoded else 4096):
            datum = pb.Datum(label=number % 10, encoded=case.encoded)
            if case.encoded:
                datum.data = png(random)
            else:
                datum.channels, datum.height, datum.width = case.shape
                datum.data = random.bytes(int(np.prod(case.shape)))
            transaction.put(b"%06d" % number, datum.SerializeToString())
    data = DATA.format(folder / "lmdb", case.batch, *case.shape, case.transform)
    (folder / "net").write_text("\n".join([data, *case.layers, LOSS]))
    (folder / "solver.prototxt").write_text(SOLVER)
    return load(folder / "solver.prototxt", pb)


def a_time(action: Callable[[], Any], seconds: float) -> float:
    """Return the seconds of an action that is repeated."""
    action()
    began, count = time.monotonic(), 0
    while time.monotonic() < began + seconds or not count:
        action()
        count += 1
    return (time.monotonic() - began) / count


def measure(case: Case, folder: Path, rounds: int, seconds: float) -> str:
    """Return the figures of a net."""
    job = prepare(case, folder)
    trainers = []
    for number in range(2):
        (folder / str(number)).mkdir()
        trainers.append(native.Trainer(job, 0, folder / str(number)))
    reading, staying = trainers
    with closing(Lmdb(folder / "lmdb", native.protos().Datum)) as source:
        with closing(Feed(job.train, source, 1)) as feed:
            feed.ask(training_batches(0, case.batch, 1, 0))
            reading.start(feed)
            ways = [lambda: reading.step(1), lambda: staying.solver.step(1)]
            ratios, steps = [], []
            for number in range(rounds):
                # Which of them is first changes.
                order = (0, 1) if number % 2 else (1, 0)
                times = {way: a_time(ways[way], seconds) for way in order}
                ratios.append(times[0] / times[1])
                steps.append(times[1])
        with closing(Feed(job.train, source, 1)) as alone:
            alone.ask(training_batches(0, case.batch, 1, 0))
            pixels = np.zeros((case.batch, *case.shape), np.float32)
            labels = np.zeros(case.batch, np.float32)
            making = a_time(lambda: alone.take(pixels, labels), seconds)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return (
        f"{case.name}: step {statistics.median(steps) * 1000:.2f} ms; with reading {middle:.3f} times "
        f"({low:.3f} … {high:.3f}); a batch alone {making * 1000:.2f} ms"
    )


def main() -> None:
    """Measure each net."""
    folder, rounds, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    for number, case in enumerate(CASES):
        here = folder / f"case-{number}"
        here.mkdir()
        print(measure(case, here, rounds, seconds), flush=True)


if __name__ == "__main__":
    main()
