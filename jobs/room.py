"""How many executors fit into what workers have free. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bootstrap.cluster import ClusterDocument, Yarn


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


def driver(cluster: ClusterDocument) -> Size | None:
    """What a driver takes of the workers; None where it runs on the head."""
    return Size(1, DRIVER_MB) if isinstance(cluster.scheduler, Yarn) else None


def container(cores: int, memory_mb: int, cluster: ClusterDocument) -> Size:
    """What a container of an executor takes: YARN hands memory out in steps, up to the largest one."""
    yarn = cluster.scheduler
    if not isinstance(yarn, Yarn) or memory_mb > yarn.container_memory_mb:
        return Size(cores, memory_mb)
    step = yarn.step_mb
    return Size(cores, min(-(-memory_mb // step) * step, yarn.container_memory_mb))


def room(free: Iterable[Size], executor: Size, driver: Size | None = None) -> int:
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
