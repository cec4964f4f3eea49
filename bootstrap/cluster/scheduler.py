"""Cluster managers that hand out executors: Spark's own master, or Hadoop's YARN."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bootstrap.model import Model


class Standalone(Model):
    """Spark's own master, on the head."""

    kind: Literal["standalone"] = "standalone"
    master: str = Field(pattern=r"^spark://")
    """`spark://head:7077`"""

    roles: ClassVar[tuple[str, ...]] = ("spark", "spark_standalone")
    needs_hdfs: ClassVar[bool] = False
    driver_on_worker: ClassVar[bool] = False
    """Drivers run on the head, in client mode."""

    def allocated_mb(self, memory_mb: int) -> int:
        """Return the MiB that a worker gives for an executor that asks for some."""
        return memory_mb

    def largest_executor(self, worker_mb: int) -> tuple[int, str]:
        """Return the most MiB that an executor can have, and the start of a sentence that says so."""
        return worker_mb, "a worker offers"


class Yarn(Model):
    """YARN's ResourceManager, and the largest containers that it allocates."""

    kind: Literal["yarn"] = "yarn"
    resource_manager: str
    """URL of its web service, as nodes reach it: `http://head:8088`."""
    container_memory_mb: int = Field(ge=512)
    container_cores: int = Field(ge=1)
    step_mb: int = Field(default=1, ge=1)
    """Containers are multiples of it: YARN rounds up."""

    master: ClassVar[str] = "yarn"
    roles: ClassVar[tuple[str, ...]] = ("yarn", "spark")
    needs_hdfs: ClassVar[bool] = True
    """Our own nodes run HDFS beside any other shared storage, as HDInsight's do."""
    driver_on_worker: ClassVar[bool] = True
    """Drivers run in a container, in cluster mode."""

    def allocated_mb(self, memory_mb: int) -> int:
        """Return the MiB of the container for an executor: steps, up to the largest container."""
        if memory_mb > self.container_memory_mb:
            return memory_mb
        return min(-(-memory_mb // self.step_mb) * self.step_mb, self.container_memory_mb)

    def largest_executor(self, worker_mb: int) -> tuple[int, str]:
        """Return the most MiB that an executor can have, and the start of a sentence that says so."""
        if worker_mb < self.container_memory_mb:
            return worker_mb, "a worker offers"
        return self.container_memory_mb, "YARN's largest container has"


Scheduler = Annotated[Standalone | Yarn, Field(discriminator="kind")]
