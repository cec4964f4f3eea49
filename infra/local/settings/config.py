"""Configuration schema of a stack on this machine."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from bootstrap.cluster import HDINSIGHT, SparkLine, key_fault
from infra.local.engine import OWN
from infra.settings.budget import BudgetSetting, IdleStop
from infra.settings.commands import set_command
from infra.settings.refusal import Refusal
from infra.settings.section import MAX_WORKERS, Hint, Section, StackSettings, setting
from infra.settings.spark import Line, newest, too_old

MIN_MEMORY_MB: Final = 2048
"""Minimum for HDFS, Spark's daemons, an executor and a trainer (see `infra.local.program`)."""
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
FIRST_NODE: Final = 10
"""Index of the head's address in the subnet; worker N has this plus N."""


_SUITES: Final = {
    "buster": "debian-10",
    "bullseye": "debian-11",
    "bionic": "ubuntu-18.04",
    "focal": "ubuntu-20.04",
    "jammy": "ubuntu-22.04",
}
"""Releases of a base image that may be too old for the newest Spark, by the names of their suites."""


def _distribution(image: object) -> str:
    """Return an image's distribution if it may be too old, else nothing."""
    return _SUITES.get(image.suite, "") if isinstance(image, DebstrapImage) else ""


def _newest(scheduler: object, image: object) -> SparkLine:
    return HDINSIGHT if scheduler == "yarn" else newest(_distribution(image))


def _private(subnet: IPv4Network) -> IPv4Network:
    if not subnet.is_private:
        raise ValueError(f"{subnet} is not a private network; take one such as 10.89.77.0/24")
    return subnet


def _pinned(ref: str) -> str:
    if not ref.startswith(OWN) and not _DIGEST.search(ref):
        raise ValueError(
            f"{ref} has no digest, and its tag may name another image tomorrow; write NAME@sha256:DIGEST, "
            f"as in `podman image inspect --format '{{{{.RepoDigests}}}}' {ref}`"
        )
    return ref


class DebstrapImage(Section):
    """A base image built from the distribution's packages."""

    source: Annotated[Literal["mmdebstrap"], Hint("mmdebstrap")]
    suite: Annotated[str, Hint("bookworm", "a release of Debian or Ubuntu")] = Field(
        default="bookworm", pattern=r"^[a-z]+$"
    )


class RegistryImage(Section):
    """A base image on top of a stock Debian or Ubuntu one, which is pulled by its digest."""

    source: Annotated[Literal["registry"], Hint("registry")]
    ref: Annotated[
        str,
        AfterValidator(_pinned),
        Hint(
            f"docker.io/library/debian@sha256:{'0' * 64}",
            "a reference such as docker.io/library/debian@sha256:DIGEST, or localhost/NAME of an own image",
        ),
    ] = Field(pattern=r"^[a-z0-9][a-zA-Z0-9._:/@-]+$")


Image = Annotated[DebstrapImage | RegistryImage, Field(discriminator="source")]


class S3Storage(Section):
    """An existing bucket on an S3 server that the nodes can reach; the secret key is a setting of its own."""

    endpoint: Annotated[str, Hint("http://10.89.77.1:9000", "http://HOST:PORT or https://HOST")] = Field(
        pattern=r"^https?://[A-Za-z0-9.-]+(:\d+)?$"
    )
    bucket: Annotated[str, Hint("caffe-spark", "3 to 63 lower-case letters, digits and hyphens")] = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"
    )
    access_key: Annotated[str, Hint("KEY")] = Field(min_length=1)
    region: Annotated[str, Hint("us-east-1", "a name such as us-east-1")] = Field(
        default="us-east-1", pattern=r"^[a-z0-9-]+$"
    )


class BlobStorage(Section):
    """A storage account that the head itself serves, named as it would be in Azure."""

    account: Annotated[str, Hint("caffesparkdev", "3 to 24 lower-case letters and digits")] = Field(
        pattern=r"^[a-z0-9]{3,24}$"
    )
    container: Annotated[
        str, Hint("cluster", "3 to 63 lower-case letters and digits, single hyphens between them")
    ] = Field(pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")


class LocalConfig(StackSettings):
    """A cluster of containers on this machine."""

    provider: Annotated[Literal["local"], Hint("local")] = "local"
    workers: Annotated[int, Hint("2")] = Field(default=2, ge=1, le=MAX_WORKERS)
    vcpu: Annotated[int, Hint("2")] = Field(default=2, ge=1)
    """CPUs of each node."""
    memory_mb: Annotated[int, Hint("3072")] = Field(default=3072, ge=MIN_MEMORY_MB)
    """Memory of each node."""
    subnet: Annotated[IPv4Network, AfterValidator(_private), Hint("10.89.77.0/24")] = IPv4Network(
        "10.89.77.0/24"
    )
    image: Annotated[
        Image,
        Hint(
            "mmdebstrap",
            "{source: mmdebstrap, suite: bookworm} or {source: registry, ref: IMAGE}",
            at=("source",),
        ),
    ] = DebstrapImage(source="mmdebstrap")
    engine: Annotated[Literal["auto", "podman", "docker"], Hint("auto")] = "auto"
    scheduler: Annotated[Literal["standalone", "yarn"], Hint("standalone")] = "standalone"
    """Scheduler of executors: Spark's own master, or Hadoop's YARN as on HDInsight."""
    spark: Line = Field(default_factory=lambda data: _newest(data.get("scheduler"), data.get("image")))
    blobs: Annotated[
        BlobStorage | None, Hint("caffesparkdev", "{account: NAME, container: NAME}", at=("account",))
    ] = None
    """Blob storage as shared storage, as on HDInsight, instead of the nodes' own HDFS."""
    s3: Annotated[
        S3Storage | None,
        Hint(
            "http://10.89.77.1:9000",
            "{endpoint: URL, bucket: NAME, accessKey: KEY, region: us-east-1}",
            at=("endpoint",),
        ),
    ] = None
    """S3 as shared storage instead of the nodes' own HDFS."""
    s3_secret_key: Annotated[SecretStr | None, Hint("")] = None

    # Cost
    budget: BudgetSetting = None
    """What the stack may cost an hour, and in total."""
    idle_stop: IdleStop = None
    """Time after the last job's end, after which `fab status` says so; nothing here is stopped."""

    @model_validator(mode="after")
    def _keys_belong_together(self) -> LocalConfig:
        if (self.s3 is None) != (self.s3_secret_key is None):
            there, missing = ("s3", "s3SecretKey") if self.s3 else ("s3SecretKey", "s3")
            raise Refusal(there, "…", f"it requires {missing}", setting(LocalConfig, [missing]).command)
        fault = self.s3_secret_key and key_fault(self.s3_secret_key.get_secret_value())
        if fault:
            raise Refusal(
                "s3SecretKey", "…", f"it has {fault}", setting(LocalConfig, ["s3SecretKey"]).command
            )
        return self

    @model_validator(mode="after")
    def _one_storage(self) -> LocalConfig:
        if self.blobs and self.s3:
            raise Refusal(
                "blobs", "…", "s3 is set as well, and there is only one shared storage", "pulumi config rm s3"
            )
        if self.blobs and self.scheduler != "yarn":
            why = "only nodes with YARN have Hadoop's client for blob storage"
            raise Refusal("blobs", "…", why, "pulumi config set scheduler yarn")
        return self

    @model_validator(mode="after")
    def _spark_runs(self) -> LocalConfig:
        if self.spark == HDINSIGHT:
            return self
        if self.scheduler == "yarn":
            why = (
                "nodes with YARN are of HDInsight's line, whose Hadoop 3.3 is the last with WASB; valid: "
                f"{HDINSIGHT}, or scheduler standalone"
            )
            raise Refusal("spark", self.spark, why, set_command("spark", HDINSIGHT))
        reason = too_old(_distribution(self.image))
        if reason:
            why = f"{reason} (image.suite); valid: {HDINSIGHT}, or a newer suite"
            raise Refusal("spark", self.spark, why, set_command("spark", HDINSIGHT))
        return self

    @model_validator(mode="after")
    def _nodes_fit(self) -> LocalConfig:
        # The last address is the broadcast address.
        capacity = self.subnet.num_addresses - 2 - FIRST_NODE
        if self.workers > capacity:
            raise Refusal(
                "subnet",
                self.subnet,
                f"it has room for {max(capacity, 0)} workers, not for {self.workers}",
                setting(LocalConfig, ["subnet"]).command,
            )
        return self

    def address(self, number: int) -> IPv4Address:
        """Return the address of the head (0) or of worker `number`; it does not depend on the number of
        workers."""
        return self.subnet[FIRST_NODE + number]
