"""Capacity of a cluster: the executors that fit into its workers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bootstrap.cluster import ClusterDocument
from bootstrap.errors import ConfigError
from jobs.spec import JobSpec


class Size(NamedTuple):
    """Cores, memory in MiB, and GPUs of a worker, an executor, or a driver's container."""

    cores: int
    memory_mb: int
    gpus: int = 0

    def holds(self, other: Size) -> int:
        """Return how many of the other fit into this."""
        if min(self) < 0:
            return 0
        fit = min(self.cores // other.cores, self.memory_mb // other.memory_mb)
        return min(fit, self.gpus // other.gpus) if other.gpus else fit


DRIVER_HEAP_MB = 512
DRIVER_MB = 1024
"""Memory of the driver's container on YARN: the JVM, Python, and the nets that it builds to check them."""


def driver(document: ClusterDocument) -> Size | None:
    """Return the size of a driver on the workers; None where drivers run on the head."""
    return Size(1, DRIVER_MB) if document.scheduler.driver_on_worker else None


def executor(spec: JobSpec, document: ClusterDocument) -> Size:
    """Return the size that an executor takes of a worker, as the scheduler rounds it."""
    gpus = spec.devices if document.worker.gpus else 0
    return Size(spec.cores, document.scheduler.allocated_mb(spec.memory), gpus)


def fitting(free: Iterable[Size], executor: Size, driver: Size | None = None) -> int:
    """Return how many executors fit besides the driver, placed at the least cost; 0 if it fits nowhere."""
    workers = list(free)
    total = sum(worker.holds(executor) for worker in workers)
    if driver is None:
        return total
    hosts = [worker for worker in workers if worker.holds(driver)]
    if not hosts:
        return 0
    lost = [
        worker.holds(executor)
        - worker._replace(
            cores=worker.cores - driver.cores, memory_mb=worker.memory_mb - driver.memory_mb
        ).holds(executor)
        for worker in hosts
    ]
    return total - min(lost)


def check(spec: JobSpec, document: ClusterDocument, workers: int | None = None) -> None:
    """Refuse a job that is larger than the declared cluster, or than one of so many workers.

    Raises:
        ConfigError: the job does not fit; the message has both sizes.
    """
    shape, number = document.worker, document.worker_count if workers is None else workers
    if spec.cores > shape.cores:
        raise ConfigError(f"cores: {spec.cores}", f"a worker has {shape.cores}", "Lower it.")
    largest, what = document.scheduler.largest_executor(shape.memory_mb)
    if spec.memory > largest:
        raise ConfigError(f"memory: {spec.memory} MiB", f"{what} {largest} MiB", "Lower it.")
    if spec.solver_mode == "GPU" and not shape.gpus:
        why = f"the workers of stack {document.stack!r} have no GPUs"
        raise ConfigError("solver_mode: GPU", why, "Set it to auto, or use a stack whose workers have them.")
    if spec.solver_mode == "CPU" and shape.gpus and not shape.cpu_training:
        raise ConfigError(
            "solver_mode: CPU",
            f"the workers of stack {document.stack!r} have GPUs, which would be billed and stay idle",
            f"Set it to auto; or allow it: `pulumi config set cpuTraining true --stack {document.stack}`, "
            "then `pulumi up`.",
        )
    if spec.devices > max(1, shape.gpus):
        why = f"a worker has {_count(shape.gpus, 'GPU')}"
        raise ConfigError(f"devices: {spec.devices}", why, f"Lower it to {max(1, shape.gpus)}.")
    driver_size = driver(document)
    room = [Size(shape.cores, shape.memory_mb, shape.gpus)] * number
    fit = fitting(room, executor(spec, document), driver_size)
    if spec.executors > fit:
        less = f", less {driver_size.memory_mb} MiB and a core for the driver" if driver_size else ""
        each = f"{_count(spec.cores, 'core')} and {spec.memory} MiB{_gpus(shape.gpus and spec.devices)}"
        raise ConfigError(
            f"executors: {spec.executors} of {each}",
            f"stack {document.stack!r} has room for {fit} ({_count(number, 'worker')} of "
            f"{_count(shape.cores, 'core')} and {shape.memory_mb} MiB{_gpus(shape.gpus)}{less})",
            f"Lower it{document.members.grow(document.stack)}",
        )


def _gpus(number: int) -> str:
    return f" with {_count(number, 'GPU')}" if number else ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
