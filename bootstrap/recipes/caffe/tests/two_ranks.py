"""Two processes train LeNet and hold the same bits; a lost or silent peer is an error, not a hang.

Run with the Python that has `caffe` and `caffe_allreduce`; ends with status 0 and one line per case.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import caffe
import caffe_allreduce
import numpy as np

SOLVER = """
net: "{net}" base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 0.0001 power: 0.75
display: 0 max_iter: 10000 solver_mode: CPU random_seed: {seed} iter_size: {iter_size}
"""
NET = """
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 16 channels: 1 height: 28 width: 28 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
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
TIMEOUT_S = 2.0


def exchange_over(pipes, rank):
    """All-gather over pipes: rank 0 collects and sends everything back."""

    def exchange(mine):
        if rank == 0:
            everything = [mine] + [pipe.recv_bytes() for pipe in pipes]
            for pipe in pipes:
                for each in everything:
                    pipe.send_bytes(each)
            return everything
        pipes[0].send_bytes(mine)
        return [pipes[0].recv_bytes() for _ in range(SIZE)]

    return exchange


def make_solver(rank, iter_size=1):
    """LeNet with weights and data of the rank's own."""
    with tempfile.TemporaryDirectory() as folder:
        net, solver = Path(folder, "net"), Path(folder, "solver")
        net.write_text(NET)
        solver.write_text(SOLVER.format(net=net, seed=rank + 1, iter_size=iter_size))
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


def train(rank, exchange, overlap, iter_size):
    """Train 20 steps; all ranks must end with the same bits, having started with their own."""
    solver, _kept = make_solver(rank, iter_size)
    before = digest(solver)
    group = caffe_allreduce.Group(rank, SIZE, "127.0.0.1", exchange, timeout_s=30)
    group.broadcast_weights(solver)
    group.attach(solver, overlap=overlap)
    start = digest(solver)
    solver.step(20)
    mean = group.allreduce_mean(np.array([rank, 1.0]))
    group.barrier()
    everyone = [
        text.decode().split() for text in exchange((before + " " + start + " " + digest(solver)).encode())
    ]
    assert len({each[0] for each in everyone}) == SIZE, "the ranks' own weights did not differ"
    assert len({each[1] for each in everyone}) == 1, "broadcast left different weights"
    assert len({each[2] for each in everyone}) == 1, "training left different weights"
    assert everyone[0][1] != everyone[0][2], "nothing was learnt"
    assert np.allclose(mean, [(SIZE - 1) / 2.0, 1.0]), mean
    group.close()


def lose(rank, exchange, overlap, how):
    """The last rank dies or stops in the middle; the others must be told in bounded time."""
    solver, _kept = make_solver(rank)
    group = caffe_allreduce.Group(rank, SIZE, "127.0.0.1", exchange, timeout_s=TIMEOUT_S)
    group.attach(solver, overlap=overlap)
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


def refuse(rank, exchange):
    """Networks that differ are refused before any gradient is mixed."""
    solver, _kept = make_solver(rank)
    if rank == 0:
        global NET
        NET = NET.replace("num_output: 500", "num_output: 400")
        solver, _kept = make_solver(rank)
    group = caffe_allreduce.Group(rank, SIZE, "127.0.0.1", exchange, timeout_s=30)
    try:
        group.attach(solver)
    except ValueError as error:
        assert "other parameters" in str(error), error
        return
    raise AssertionError("different networks were attached")


def run(name, expected, case, *args):
    """Run a case in SIZE processes; `expected` gives their exit codes, None for one that is stopped."""
    pairs = [multiprocessing.Pipe() for _ in range(SIZE - 1)]
    ends = [[pair[0] for pair in pairs]] + [[pair[1]] for pair in pairs]
    start = time.time()
    children = []
    for rank in range(SIZE):
        child = multiprocessing.Process(target=case, args=(rank, exchange_over(ends[rank], rank), *args))
        child.start()
        children.append(child)
    for child, code in zip(children, expected):
        if code is None:
            continue
        child.join(60)
        if child.is_alive() or child.exitcode != code:
            for each in children:
                each.kill()
            sys.exit(f"{name}: a rank ended with {child.exitcode}, not {code}")
    for child in children:
        child.kill()
        child.join()
    print(f"{name}: ok, {time.time() - start:.1f} s")


if __name__ == "__main__":
    SIZE = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    os.environ["GLOG_minloglevel"] = "2"  # noqa: SIM112 - glog's own spelling
    caffe.set_mode_cpu()
    good = [0] * SIZE
    run("overlapped", good, train, True, 1)
    run("blocking", good, train, False, 1)
    run("two passes a step", good, train, True, 2)
    run("different networks", good, refuse)
    for overlap in (True, False):
        run("killed peer", [*good[:-1], -signal.SIGKILL], lose, overlap, signal.SIGKILL)
        run("silent peer", [*good[:-1], None], lose, overlap, signal.SIGSTOP)
