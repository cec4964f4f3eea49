"""Cluster managers that allocate executors: Spark standalone or Hadoop YARN."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field

from bootstrap.model import Model

MASTER_UI = 8080
"""Port of the master's web page."""


class WebPage(NamedTuple):
    """A daemon's web page, by host and port as the head knows them."""

    title: str
    host: str
    port: int


class Standalone(Model):
    """Spark standalone, with its master on the head."""

    kind: Literal["standalone"] = "standalone"
    master: str = Field(pattern=r"^spark://")
    """`spark://head:7077`"""

    roles: ClassVar[tuple[str, ...]] = ("spark", "spark_standalone", "spark_history")
    needs_hdfs: ClassVar[bool] = False
    driver_on_worker: ClassVar[bool] = False
    """Drivers run on the head, in client mode."""

    @property
    def web(self) -> WebPage:
        """The master's page."""
        return WebPage("Spark master", str(urlsplit(self.master).hostname), MASTER_UI)

    def allocated_mb(self, memory_mb: int) -> int:
        """Return the MiB allocated for an executor that requests `memory_mb`."""
        return memory_mb

    def largest_executor(self, worker_mb: int) -> tuple[int, str]:
        """Return the largest executor in MiB, and the words that introduce it in a message."""
        return worker_mb, "a worker offers"


class Yarn(Model):
    """YARN: its ResourceManager and its largest container."""

    kind: Literal["yarn"] = "yarn"
    resource_manager: str
    """URL of the ResourceManager's REST API, as nodes reach it: `http://head:8088`."""
    container_memory_mb: int = Field(ge=512)
    container_cores: int = Field(ge=1)
    step_mb: int = Field(default=1, ge=1)
    """Allocation increment in MiB; YARN rounds containers up to a multiple of it."""

    master: ClassVar[str] = "yarn"
    roles: ClassVar[tuple[str, ...]] = ("yarn", "spark", "spark_history")
    needs_hdfs: ClassVar[bool] = True
    """Nodes run HDFS in addition to other shared storage, as HDInsight does."""
    driver_on_worker: ClassVar[bool] = True
    """Drivers run in a container, in cluster mode."""

    @property
    def web(self) -> WebPage:
        """The ResourceManager's page."""
        url = urlsplit(self.resource_manager)
        return WebPage("YARN ResourceManager", str(url.hostname), url.port or 80)

    def allocated_mb(self, memory_mb: int) -> int:
        """Return the MiB of the executor's container: rounded up to `step_mb`, within the largest one."""
        if memory_mb > self.container_memory_mb:
            return memory_mb
        return min(-(-memory_mb // self.step_mb) * self.step_mb, self.container_memory_mb)

    def largest_executor(self, worker_mb: int) -> tuple[int, str]:
        """Return the largest executor in MiB, and the words that introduce it in a message."""
        if worker_mb < self.container_memory_mb:
            return worker_mb, "a worker offers"
        return self.container_memory_mb, "YARN's largest container has"


Scheduler = Annotated[Standalone | Yarn, Field(discriminator="kind")]
