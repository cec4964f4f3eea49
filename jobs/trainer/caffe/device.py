"""Device that this process's Caffe computes on: the CPU, or the GPU that Spark has given to its task."""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any

from jobs.trainer.errors import TrainerError

RESOURCE = "gpu"
"""Name of GPUs among Spark's resources."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Environment variable of CUDA, which reads it once, at its first call."""
_used = ""
"""Address of the GPU that this process computes on; empty: the CPU."""


def of_task() -> str:
    """Return the address of the GPU that Spark has given to the running task.

    Raises:
        TrainerError: it has given none.
    """
    from pyspark import TaskContext

    resources = TaskContext.get().resources()
    if RESOURCE not in resources or not resources[RESOURCE].addresses:
        raise TrainerError("gpu-not-granted", host=socket.gethostname())
    return str(resources[RESOURCE].addresses[0])


def use_gpu(address: str) -> None:
    """Make Caffe compute on one GPU of this node from now on, and hide the others.

    CUDA's threads begin on device 0. It is the task's GPU where no other is visible: so no thread, such as
    the feed's, takes memory of another rank's. A Python worker that Spark uses again keeps its GPU.

    Raises:
        TrainerError: CUDA finds no usable GPU, or the process computes on another one.
    """
    global _used  # noqa: PLW0603 - Caffe's mode is the process's too
    if _used and _used != address:
        raise TrainerError("gpu-kept", host=socket.gethostname(), address=address, kept=_used)
    if not _used:
        os.environ[VISIBLE] = address
        reason = _fault()
        if reason:
            raise TrainerError("gpu-unusable", host=socket.gethostname(), address=address, reason=reason)
        _used = address


def apply(caffe: Any) -> None:  # noqa: ANN401 - pycaffe has no types
    """Set Caffe's mode for the calling thread, to which it belongs."""
    if _used:
        caffe.set_device(0)
        caffe.set_mode_gpu()
    else:
        caffe.set_mode_cpu()


def _fault() -> str:
    """Return why CUDA's driver shows no GPU, empty if it shows one. Caffe would abort instead."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return str(error)
    status, count = cuda.cuInit(0), ctypes.c_int()
    if status == 0:
        status = cuda.cuDeviceGetCount(ctypes.byref(count))
    if status != 0:
        return "CUDA's driver says {}".format(status)
    return "" if count.value else "CUDA's driver shows no device"
