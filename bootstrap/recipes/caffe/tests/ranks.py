"""Two and three processes train LeNet and hold the same bits; a lost or silent peer is an error, not a hang.

Run with the Python that has `caffe` and `caffe_allreduce`; ends with status 0 and one line per case.
"""

import contextlib
import hashlib
import itertools
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
import weakref
from pathlib import Path

import caffe
import caffe_allreduce
import numpy as np

SOLVER = """
net: "{net}" base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 0.0001 power: 0.75
display: 0 max_iter: 10000 solver_mode: CPU random_seed: {seed} iter_size: {iter_size}
clip_gradients: {clip}
"""
NET = """
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 16 channels: 1 height: 28 width: 28 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 0 } param { lr_mult: 0 }
  convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 50 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
  inner_product_param { num_output: 500 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
RAISES = """
layer { name: "raises" type: "Python" bottom: "label" top: "raised"
  python_param { module: "__main__" layer: "Raises" } }
"""
TINY = """
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 16 channels: 1 height: 28 width: 28 } }
layer { name: "one" type: "InnerProduct" bottom: "data" top: "one"
  param { name: "w" LR } param { name: "b" LR }
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "two" type: "InnerProduct" bottom: "data" top: "two"
  param { name: "w" LR } param { name: "b" LR }
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "all" type: "Concat" bottom: "one" bottom: "two" top: "all" }
layer { name: "scale" type: "Scale" bottom: "all" top: "scaled" param { LR }
  scale_param { axis: 0 num_axes: 0 filler { value: 2 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "scaled" bottom: "all" top: "loss" }
"""
"""Layers that share their parameters, and one with a single number."""
TIMEOUT_S = 2.0


class Raises(caffe.Layer):
    """Raises in the third forward pass."""

    passes = 0

    def setup(self, bottom, top):
        """Do nothing."""

    def reshape(self, bottom, top):
        """Give one number."""
        top[0].reshape(1)

    def forward(self, bottom, top):
        """Raise at the third call."""
        Raises.passes += 1
        if Raises.passes == 3:
            raise KeyError("a record")

    def backward(self, *_):
        """Do nothing."""


def make_solver(rank, iter_size=1, clip=0, text=None):
    """LeNet, or another net, with weights and data of the rank's own; its first layer is not learnt."""
    with tempfile.TemporaryDirectory() as folder:
        net, solver = Path(folder, "net"), Path(folder, "solver")
        net.write_text(text or NET)
        solver.write_text(SOLVER.format(net=net, seed=rank + 1, iter_size=iter_size, clip=clip))
        made = caffe.SGDSolver(str(solver))
    random = np.random.RandomState(rank)
    # Kept: pycaffe does not hold the arrays itself.
    images = random.rand(64, 1, 28, 28).astype(np.float32)
    labels = random.randint(0, 10, 64).astype(np.float32)
    made.net.set_input_arrays(images, labels)
    return made, (images, labels)


def digest(solver):
    """The parameters' sha256."""
    total = hashlib.sha256()
    for blobs in solver.net.params.values():
        for blob in blobs:
            total.update(blob.data.tobytes())
    return total.hexdigest()


def train(rank, connections, way, iter_size, clip=0):
    """Train 20 steps; all ranks must end with the same bits, having started with their own."""
    solver, _kept = make_solver(rank, iter_size, clip)
    before = digest(solver)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    group.broadcast_weights(solver)
    group.attach(solver, way)
    start = digest(solver)
    assert sum(
        blob.count for blobs in solver.net.params.values() for blob in blobs
    ) - group._native.elements == (0 if clip else 520), (
        "parameters that are not learnt are left out, unless their norm counts"
    )
    group.record()
    solver.step(20)
    mean = group.allreduce_mean(np.array([rank, 1.0]))
    group.barrier()
    everyone = [
        text.decode().split() for text in group.all_gather(f"{before} {start} {digest(solver)}".encode())
    ]
    assert len({each[0] for each in everyone}) == SIZE, "the ranks' own weights did not differ"
    assert len({each[1] for each in everyone}) == 1, "broadcast left different weights"
    assert len({each[2] for each in everyone}) == 1, "training left different weights"
    assert everyone[0][1] != everyone[0][2], "nothing was learnt"
    assert np.allclose(mean, [(SIZE - 1) / 2.0, 1.0]), mean
    assert len(group.steps()) == 20
    assert all(ready <= done for ready, done in group.steps())
    group.close()


def average(rank, connections):
    """Arrays of many sizes, of both types and of large and small values, average to the bits of one order."""
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    for count in (0, 1, 2, SIZE, 1000, 100_003, 1_100_001):
        for kind in (np.float32, np.float64):
            every = [np.random.RandomState(each).standard_normal(count).astype(kind) for each in range(SIZE)]
            expected = every[0].copy()
            for each in every[1:]:
                expected += each
            expected *= kind(1) / kind(SIZE)
            assert np.array_equal(group.allreduce_mean(every[rank]), expected), (count, kind)
    texts = [bytes(range(each)) for each in range(SIZE)]
    assert group.all_gather(texts[rank]) == texts
    group.close()


def average_nan(rank, connections):
    """NaNs of other bits, received in pieces of other lengths, average to the same bits on all ranks."""
    for each in connections:
        if each is not None:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5003 + 1777 * rank)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    for count in (13, 100_003, 300_007):
        array = np.full(count, 0x7FC00001 + (rank << 31) % 2**32, np.uint32).view(np.float32)
        mean = group.allreduce_mean(array)
        assert np.isnan(mean).all()
        assert len(set(group.all_gather(hashlib.sha256(mean.tobytes()).digest()))) == 1, count
    group.close()


def lose(rank, connections, how):
    """The last rank dies or stops in the middle; the others must be told in bounded time."""
    solver, _kept = make_solver(rank)
    group = caffe_allreduce.Group(rank, connections, timeout_s=TIMEOUT_S)
    group.attach(solver)
    solver.step(2)
    if rank == SIZE - 1:
        os.kill(os.getpid(), how)  # stopped: the parent ends it
        return
    start = time.time()
    try:
        solver.step(10000)
    except caffe_allreduce.PeerLost as error:
        took = time.time() - start
        # With more ranks, one that has lost another closes its connections too, and may be named instead.
        assert SIZE > 2 or error.ranks == [SIZE - 1], error
        assert took < TIMEOUT_S + 5, took
        print(f"   {took:.1f} s: {error}")
    else:
        raise AssertionError("training went on without its peer")
    try:
        group.barrier()
    except caffe_allreduce.PeerLost:
        return
    raise AssertionError("a failed group was usable")


def refuse(rank, connections):
    """Networks that differ are refused before any gradient is mixed."""
    solver, _kept = make_solver(rank)
    if rank == 0:
        global NET
        NET = NET.replace("num_output: 500", "num_output: 400")
        solver, _kept = make_solver(rank)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    try:
        group.attach(solver)
    except ValueError as error:
        assert "other parameters" in str(error), error
        return
    raise AssertionError("different networks were attached")


def small(rank, connections, learnt, way):
    """Shared parameters, a single number and no parameter at all are averaged alike."""
    text = TINY.replace("LR", "" if learnt else "lr_mult: 0")
    solver, _kept = make_solver(rank, text=text)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    group.broadcast_weights(solver)
    group.attach(solver, way)
    assert group._native.elements == (28 * 28 + 2 if learnt else 0)
    before = digest(solver)
    solver.step(5)
    after = {each.decode() for each in group.all_gather(digest(solver).encode())}
    assert len(after) == 1, "training left different weights"
    assert (before not in after) == learnt
    group.close()


def look(rank, connections):
    """A backward pass before the first step is a rank's own."""
    solver, _kept = make_solver(rank)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    group.broadcast_weights(solver)
    group.attach(solver)
    if rank == 0:
        solver.net.forward()
        solver.net.backward()
    solver.step(3)
    assert len(set(group.all_gather(digest(solver).encode()))) == 1
    group.close()


def interrupt(rank, connections):
    """After a step that an exception has ended on all ranks, the group fails at once: no rank has updated."""
    solver, _kept = make_solver(rank, text=NET + RAISES)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    group.broadcast_weights(solver)
    group.attach(solver)
    with contextlib.suppress(KeyError):
        solver.step(5)
    start = time.time()
    for action in (lambda: solver.step(1), group.barrier):
        try:
            action()
        except caffe_allreduce.PeerLost as error:
            assert "in the middle" in str(error) or "was closed" in str(error), error
        else:
            raise AssertionError("training went on after half a step")
    assert time.time() - start < 10


def forgo_memory(rank, connections):
    """Where a rank gets no memory to share, it uses its connections; Python need not have memfd_create."""
    if hasattr(os, "memfd_create"):
        del os.memfd_create
    if rank == 0:
        caffe_allreduce._Native.memory_file = staticmethod(lambda size: -1)
    solver, _kept = make_solver(rank)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    files = len(list(Path("/proc/self/fd").iterdir()))
    group.broadcast_weights(solver)
    group.attach(solver)
    solver.step(3)
    assert len(set(group.all_gather(digest(solver).encode()))) == 1
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    group.close()


def keep(rank, connections):
    """A group lives as long as its solver, whose gradients it has, also where attaching fails at its end."""
    solver, _kept = make_solver(rank)
    group = caffe_allreduce.Group(rank, connections, timeout_s=30)
    with Path("/dev/null").open() as unmappable:
        try:
            group._native.attach(solver, "float32", [unmappable.fileno()] * SIZE)
        except RuntimeError as error:
            assert "mmap" in str(error), error
    kept = weakref.ref(group._native)
    del group
    assert kept() is not None
    solver.net.forward()
    solver.net.backward()


def refuse_closed(rank, connections):
    """A closed connection is refused: a group would take its peer for one that has sent all."""
    connections[rank - 1].close()
    try:
        caffe_allreduce.Group(rank, connections, timeout_s=1e7)
    except ValueError as error:
        assert "are closed" in str(error), error
        return
    raise AssertionError("a closed connection was taken")


def pass_by(rank, connections):
    """A terminal that a process has is not opened for its memory: it would control this one."""
    master, terminal = os.openpty()
    os.setsid()
    assert caffe_allreduce._open(os.getpid(), terminal, bytes(16)) == -1
    os.close(master)
    try:
        Path("/dev/tty").open().close()
    except OSError:
        return
    raise AssertionError("the terminal controls this process")


def connections():
    """Return a connected socket by rank and peer."""
    table = [[None] * SIZE for _ in range(SIZE)]
    for one, other in itertools.combinations(range(SIZE), 2):
        table[one][other], table[other][one] = socket.socketpair()
    return table


def child(rank, table, apart, case, args):
    """Run a case as a rank, with its own connections; ranks `apart` cannot see each other's memory."""
    for other, row in enumerate(table):
        if other != rank:
            for each in row:
                if each is not None:
                    each.close()
    if apart:
        caffe_allreduce._open = lambda pid, file, nonce: -1
    case(rank, table[rank], *args)


def run(name, expected, case, *args, apart=False):
    """Run a case in SIZE processes; `expected` gives their exit codes, None for one that is stopped."""
    table = connections()
    start = time.time()
    children = [
        multiprocessing.Process(target=child, args=(rank, table, apart, case, args)) for rank in range(SIZE)
    ]
    for each in children:
        each.start()
    for row in table:
        for each in row:
            if each is not None:
                each.close()
    for each, code in zip(children, expected):
        if code is None:
            continue
        each.join(60)
        if each.is_alive() or each.exitcode != code:
            for other in children:
                other.kill()
            sys.exit(f"{name}: a rank ended with {each.exitcode}, not {code}")
    for each in children:
        each.kill()
        each.join()
    print(f"{name}: ok, {time.time() - start:.1f} s")


if __name__ == "__main__":
    os.environ["GLOG_minloglevel"] = "2"  # noqa: SIM112 - glog's own spelling
    caffe.set_mode_cpu()
    for SIZE in map(int, sys.argv[1:] or (2, 3)):
        good = [0] * SIZE
        killed = [*good[:-1], -signal.SIGKILL]
        print(f"{SIZE} ranks")
        run("arrays", good, average)
        run("arrays of NaN", good, average_nan)
        run("different networks", good, refuse)
        run("a backward pass outside of steps", good, look)
        run("half a step", good, interrupt)
        run("no memory to share", good, forgo_memory)
        run("a group that is not attached", good, keep)
        run("closed connections", good, refuse_closed)
        run("a process with a terminal", good, pass_by)
        for apart in (False, True):
            where = "over connections" if apart else "over memory"
            run(f"float32 {where}", good, train, "float32", 1, apart=apart)
            run(f"float16 {where}", good, train, "float16", 1, apart=apart)
            run(f"shared parameters {where}", good, small, True, "float16", apart=apart)
            run(f"nothing learnt {where}", good, small, False, "float32", apart=apart)
            run(f"two passes a step, clipped, {where}", good, train, "float32", 2, 35, apart=apart)
            run(f"killed peer {where}", killed, lose, signal.SIGKILL, apart=apart)
            run(f"silent peer {where}", [*good[:-1], None], lose, signal.SIGSTOP, apart=apart)
