"""Exactness with Caffe itself: ranks against one process, and a resumed run against one that ran through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.trainer.artefact import Caffe

SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: {iterations} snapshot_prefix: "s"
random_seed: 7 display: 0 solver_mode: CPU {solver}
"""
NET = """
name: "small"
layer {{
  name: "data" type: "MemoryData" top: "data" top: "label" source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param {{ source: "{source}" batch_size: {batch} channels: 1 height: 6 width: 6 }}
  transform_param {{ scale: 0.00390625 {transform} }} include {{ phase: TRAIN }}
}}
layer {{
  name: "data" type: "MemoryData" top: "data" top: "label" source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param {{ source: "{source}" batch_size: 2 channels: 1 height: 6 width: 6 }}
  transform_param {{ crop_size: 6 }} include {{ phase: TEST }}
}}
layer {{
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
{layers}
layer {{
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
DATABASE = """
import sys
from pathlib import Path
import lmdb, numpy as np
from jobs.trainer.caffe import native

datum, random = native.protos().Datum, np.random.RandomState(5)
with lmdb.open(sys.argv[1], map_size=1 << 24) as env, env.begin(write=True) as transaction:
    for number in range(101):
        pixels = random.randint(0, 256, 64).astype(np.uint8)
        one = datum(channels=1, height=8, width=8, label=int(pixels[0]) % 4, data=pixels.tobytes())
        transaction.put(b"%04d" % number, one.SerializeToString())
print("made")
"""
RANKS = """
import hashlib, itertools, json, multiprocessing, socket, sys
from pathlib import Path

folder, sizes, gradients = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]

def weights_of(rank, size, connections, out):
    import caffe_allreduce, numpy as np
    from jobs.trainer.caffe import native
    from jobs.trainer.caffe.feed import Feed
    from jobs.trainer.caffe.prototxt import load
    from jobs.trainer.sources.lmdb import Lmdb
    from jobs.trainer.sources.shards import training_batches

    job = load(folder / "solver-{}.prototxt".format(size), native.protos())
    mine = folder / "{}-of-{}".format(rank, size)
    mine.mkdir()
    trainer = native.Trainer(job, rank, mine)
    group = caffe_allreduce.Group(rank, connections)
    group.broadcast_weights(trainer.solver)
    group.attach(trainer.solver, gradients)
    feed = Feed(job.train, Lmdb(Path(job.train.uri[5:]), native.protos().Datum), job.seed)
    feed.ask(training_batches(0, job.train.batch, size, rank))
    trainer.start(feed)
    steps = []
    for _ in range(job.max_iter):
        trainer.step(1)
        steps.append(hashlib.sha256(b"".join(trainer.weights())).hexdigest())
    values = np.concatenate([np.frombuffer(one, np.float32) for one in trainer.weights()])
    out.send((steps, values.tolist()))
    group.close()
    feed.close()

found = []
for size in sizes:
    table = [[None] * size for _ in range(size)]
    for one, other in itertools.combinations(range(size), 2):
        table[one][other], table[other][one] = socket.socketpair()
    outs = [multiprocessing.Pipe(False) for _ in range(size)]
    processes = []
    for rank in range(size):
        processes.append(
            multiprocessing.Process(target=weights_of, args=(rank, size, table[rank], outs[rank][1]))
        )
        processes[-1].start()
    found.append([out.recv() for out, _ in outs])
    for process in processes:
        process.join()
print(json.dumps(found))
"""
RUN = """
import hashlib, json, sys
from pathlib import Path
from types import SimpleNamespace
from jobs.trainer.caffe import native
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.events.channel import Address
from jobs.trainer.ranks import train
from jobs.trainer.ranks.group import Exchange
from jobs.trainer.ranks.plan import Plan, RankHost

folder, out, snapshot = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
job = load(folder / "solver-1.prototxt", native.protos())
plan = Plan(
    job=job, size=1, channel=Address("127.0.0.1", 1, ""), train=job.train.uri, tests=("",),
    timeout_s=10, token=b"",
    weights=("file:" + snapshot + ".caffemodel",) if snapshot else (),
    snapshot="file:" + snapshot + ".solverstate" if snapshot else "",
    snapshot_name=Path(snapshot).name + ".solverstate" if snapshot else "",
    feed="file:" + snapshot + ".feed.json" if snapshot else "", model="file:{}/m.caffemodel".format(out),
)
work = out / "work"
work.mkdir(parents=True)
sender = SimpleNamespace(send=lambda event: None, heard=list)
place, exchange = RankHost(0, "h", "127.0.0.1"), Exchange(0, 1, lambda text: [text])
train._Rank(plan, place, exchange, sender, work).run()
files = sorted(out.glob("*.caffemodel")) + sorted(out.glob("*.solverstate"))
print(json.dumps({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}))
"""

DOUBLING = """
import sys, types
import caffe

class Doubling(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, down, bottom): bottom[0].diff[...] = 2 * top[0].diff

sys.modules["doubling"] = types.ModuleType("doubling")
sys.modules["doubling"].Doubling = Doubling
"""


@pytest.fixture
def source(caffe: Caffe, tmp_path: Path) -> str:
    caffe.result(DATABASE, str(tmp_path / "lmdb"))
    return f"file:{tmp_path}/lmdb"


def write(folder: Path, source: str, size: int, batch: int, **parts: Any) -> None:
    given = {"iterations": 100, "solver": "", "transform": "crop_size: 6", "layers": "", **parts}
    (folder / f"solver-{size}.prototxt").write_text(
        SOLVER.format(**given).replace("net.prototxt", f"net-{size}.prototxt")
    )
    (folder / f"net-{size}.prototxt").write_text(NET.format(source=source, batch=batch, **given))


def difference(one: tuple[Any, list[float]], other: tuple[Any, list[float]]) -> float:
    """Return the largest difference of two runs' weights, by the largest weight."""
    pairs = zip(one[1], other[1], strict=True)
    return max(abs(mine - theirs) for mine, theirs in pairs) / max(map(abs, one[1]))


@pytest.mark.parametrize(
    "solver",
    [
        "momentum: 0.9",
        "momentum: 0.9 clip_gradients: 0.5",
        'momentum: 0.9 weight_decay: 0.01 regularization_type: "L1"',
        'type: "Adam" momentum: 0.9 momentum2: 0.999 delta: 1e-3',
        "momentum: 0.9 iter_size: 3",
    ],
    ids=["SGD", "clip", "L1", "Adam", "iter_size"],
)
def test_two_ranks_train_as_one_process_with_the_double_batch(
    caffe: Caffe, tmp_path: Path, source: str, solver: str
) -> None:
    """Over 100 steps, with random crops and mirrors; 101 records, so batches run across repetitions."""
    transform = "crop_size: 6 mirror: true"
    for size, batch in ((1, 8), (2, 4)):
        write(tmp_path, source, size, batch, solver=solver, transform=transform)

    (alone,), both = json.loads(caffe.result(RANKS, str(tmp_path), "[1, 2]", "float32"))

    assert both[0][0] == both[1][0], "ranks hold the same bits after every step"
    assert difference(alone, both[0]) < 1e-6


@pytest.mark.parametrize("size", [3, 4])
def test_more_ranks_train_as_one_process_too(caffe: Caffe, tmp_path: Path, source: str, size: int) -> None:
    """They add up shares of the gradients, and not all of them."""
    for ranks in (1, size):
        write(tmp_path, source, ranks, 12 // ranks, solver="momentum: 0.9 clip_gradients: 0.5")

    (alone,), all_ranks = json.loads(caffe.result(RANKS, str(tmp_path), f"[1, {size}]", "float32"))

    assert all(rank[0] == all_ranks[0][0] for rank in all_ranks), "the same bits after every step"
    assert difference(alone, all_ranks[0]) < 1e-6


@pytest.mark.parametrize("size", [2, 3])
def test_gradients_in_half_the_bytes_end_near_the_same_weights(
    caffe: Caffe, tmp_path: Path, source: str, size: int
) -> None:
    for ranks in (1, size):
        write(tmp_path, source, ranks, 12 // ranks, solver="momentum: 0.9")

    (alone,), all_ranks = json.loads(caffe.result(RANKS, str(tmp_path), f"[1, {size}]", "float16"))

    assert all(rank[0] == all_ranks[0][0] for rank in all_ranks), "the same bits after every step"
    assert 1e-7 < difference(alone, all_ranks[0]) < 1e-2


def test_a_net_with_a_layer_in_python_trains(caffe: Caffe, tmp_path: Path, source: str) -> None:
    """Caffe calls into such a layer without asking for the interpreter's lock."""
    layer = """
        layer { name: "py" type: "Python" bottom: "conv" top: "conv2"
          python_param { module: "doubling" layer: "Doubling" } }
    """
    write(tmp_path, source, 1, 4, iterations=30, layers=layer)
    net = tmp_path / "net-1.prototxt"
    net.write_text(
        net.read_text().replace('type: "InnerProduct" bottom: "conv"', 'type: "InnerProduct" bottom: "conv2"')
    )

    assert json.loads(caffe.result(DOUBLING + RUN, str(tmp_path), str(tmp_path / "out"), ""))["m.caffemodel"]


@pytest.mark.parametrize("at", [1, 5, 11])
@pytest.mark.parametrize("solver", ["momentum: 0.9", 'type: "Adam" momentum: 0.9 iter_size: 2'])
def test_a_run_that_is_resumed_ends_with_the_bits_of_one_that_ran_through(
    caffe: Caffe, tmp_path: Path, source: str, solver: str, at: int
) -> None:
    dropout = 'layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }'
    parts = {"iterations": 12, "transform": "crop_size: 6 mirror: true", "layers": dropout}
    write(tmp_path, source, 1, 5, solver=f"{solver} snapshot: {at}", **parts)
    through = caffe.result(RUN, str(tmp_path), str(tmp_path / "through"), "")
    snapshot = str(tmp_path / f"through/s_iter_{at}")

    resumed = caffe.result(RUN, str(tmp_path), str(tmp_path / "resumed"), snapshot)

    ended = [json.loads(text)["m.caffemodel"] for text in (through, resumed)]
    assert ended[0] == ended[1]
