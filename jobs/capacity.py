"""Capacity of a cluster: the executors that fit into its workers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bootstrap.cluster import ClusterDocument
from bootstrap.errors import ConfigError
from jobs.spec import JobSpec


class Size(NamedTuple):
    """Cores and MiB: of a worker, of an executor, of a driver's container."""

    cores: int
    memory_mb: int

    def holds(self, other: Size) -> int:
        """How many of the other fit into this."""
        if min(self) < 0:
            return 0
        return min(self.cores // other.cores, self.memory_mb // other.memory_mb)


DRIVER_HEAP_MB = 512
DRIVER_MB = 1024
"""Of the driver's container on YARN: the JVM, its Python, and the nets that it makes once to check them."""


def driver(document: ClusterDocument) -> Size | None:
    """Return what a driver takes of the workers; None where it runs on the head."""
    return Size(1, DRIVER_MB) if document.scheduler.driver_on_worker else None


def executor(spec: JobSpec, document: ClusterDocument) -> Size:
    """Return what an executor takes of a worker."""
    return Size(spec.cores, document.scheduler.allocated_mb(spec.memory))


def fitting(free: Iterable[Size], executor: Size, driver: Size | None = None) -> int:
    """Executors that fit, with the driver put where it costs least; 0 when it fits nowhere."""
    workers = list(free)
    whole = sum(worker.holds(executor) for worker in workers)
    if driver is None:
        return whole
    hosts = [worker for worker in workers if worker.holds(driver)]
    if not hosts:
        return 0
    lost = [
        worker.holds(executor)
        - Size(worker.cores - driver.cores, worker.memory_mb - driver.memory_mb).holds(executor)
        for worker in hosts
    ]
    return whole - min(lost)


def check(spec: JobSpec, document: ClusterDocument) -> None:
    """Refuse a job that is larger than the cluster, going by its document.

    Raises:
        ConfigError: it is; the numbers are in the message.
    """
    shape, number = document.worker, document.worker_count
    if spec.cores > shape.cores:
        raise ConfigError(f"cores: {spec.cores}", f"a worker has {shape.cores}", "Lower it.")
    largest, what = document.scheduler.largest_executor(shape.memory_mb)
    if spec.memory > largest:
        raise ConfigError(f"memory: {spec.memory} MiB", f"{what} {largest} MiB", "Lower it.")
    beside = driver(document)
    workers = [Size(shape.cores, shape.memory_mb)] * number
    fit = fitting(workers, executor(spec, document), beside)
    if spec.executors > fit:
        less = f", less {beside.memory_mb} MiB and a core for the driver" if beside else ""
        raise ConfigError(
            f"executors: {spec.executors} of {_count(spec.cores, 'core')} and {spec.memory} MiB",
            f"stack {document.stack!r} has room for {fit} ({_count(number, 'worker')} of "
            f"{_count(shape.cores, 'core')} and {shape.memory_mb} MiB{less})",
            f"Lower it{document.members.grow(document.stack)}",
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
