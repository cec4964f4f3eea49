"""Cluster managers that hand out executors: Spark's own master, or Hadoop's YARN."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bootstrap.cluster.model import Model


class Standalone(Model):
    """Spark's own master, on the head."""

    kind: Literal["standalone"] = "standalone"
    master: str = Field(pattern=r"^spark://")
    """`spark://head:7077`"""

    roles: ClassVar[tuple[str, ...]] = ("spark", "spark_standalone")
    needs_hdfs: ClassVar[bool] = False


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


Scheduler = Annotated[Standalone | Yarn, Field(discriminator="kind")]
