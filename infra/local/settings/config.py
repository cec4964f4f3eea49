"""What the stack of a cluster on this machine may say."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from infra.settings.section import MAX_WORKERS, Guide, Hint, Refusal, Section

MIN_MEMORY_MB: Final = 2048
"""HDFS, Spark's daemons, an executor and a trainer do not fit into less (see `infra.local.program`)."""
FIRST_NODE: Final = 10
"""The head's number in the subnet; worker N has this plus N."""
IMAGE_SOURCES: Final = ("mmdebstrap", "registry")

GUIDE: Final[Guide] = {
    "provider": Hint("", "pulumi config set provider local"),
    "workers": Hint("", "pulumi config set workers 2"),
    "vcpu": Hint("", "pulumi config set vcpu 2"),
    "memoryMb": Hint("", "pulumi config set memoryMb 3072"),
    "subnet": Hint("", "pulumi config set subnet 10.89.77.0/24"),
    "engine": Hint("", "pulumi config set engine auto"),
    "scheduler": Hint("", "pulumi config set scheduler standalone"),
    "blobs": Hint("{account: NAME, container: NAME}", "pulumi config set --path blobs.account caffesparkdev"),
    "s3": Hint(
        "{endpoint: URL, bucket: NAME, accessKey: KEY, region: us-east-1}",
        "pulumi config set --path s3.endpoint http://10.89.77.1:9000",
    ),
    "s3SecretKey": Hint("", "pulumi config set --secret s3SecretKey"),
    "image": Hint(
        "{source: mmdebstrap, suite: bookworm} or {source: registry, ref: IMAGE}",
        "pulumi config set --path image.source mmdebstrap",
    ),
}


def _private(subnet: IPv4Network) -> IPv4Network:
    if not subnet.is_private:
        raise ValueError(f"{subnet} is not a private network; take one such as 10.89.77.0/24")
    return subnet


class DebstrapImage(Section):
    """A base image made here from the distribution's packages."""

    source: Literal["mmdebstrap"]
    suite: str = Field(default="bookworm", pattern=r"^[a-z]+$")


class RegistryImage(Section):
    """A base image on top of a stock Debian or Ubuntu one, e.g. `docker.io/library/debian:12`."""

    source: Literal["registry"]
    ref: str = Field(pattern=r"^[a-z0-9][a-zA-Z0-9._:/@-]+$")


Image = Annotated[DebstrapImage | RegistryImage, Field(discriminator="source")]


class S3Storage(Section):
    """A bucket that is there already, on any S3 server that the nodes reach; its secret key stands apart."""

    endpoint: str = Field(pattern=r"^https?://[A-Za-z0-9.-]+(:\d+)?$")
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
    access_key: str = Field(min_length=1)
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$")


class BlobStorage(Section):
    """A storage account that the head serves itself, by the name that it would have in Azure."""

    account: str = Field(pattern=r"^[a-z0-9]{3,24}$")
    container: str = Field(pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")


class LocalConfig(Section):
    """A cluster of containers on this machine."""

    provider: Literal["local"] = "local"
    workers: int = Field(default=2, ge=1, le=MAX_WORKERS)
    vcpu: int = Field(default=2, ge=1)
    """CPUs of each node."""
    memory_mb: int = Field(default=3072, ge=MIN_MEMORY_MB)
    """Memory of each node."""
    subnet: Annotated[IPv4Network, AfterValidator(_private)] = IPv4Network("10.89.77.0/24")
    image: Image = DebstrapImage(source="mmdebstrap")
    engine: Literal["auto", "podman", "docker"] = "auto"
    scheduler: Literal["standalone", "yarn"] = "standalone"
    """Who hands out executors: Spark's own master, or Hadoop's YARN as on HDInsight."""
    blobs: BlobStorage | None = None
    """Blobs as shared storage, as on HDInsight, instead of the nodes' own HDFS."""
    s3: S3Storage | None = None
    """Shared storage instead of the nodes' own HDFS."""
    s3_secret_key: SecretStr | None = None

    @model_validator(mode="after")
    def _keys_belong_together(self) -> LocalConfig:
        if (self.s3 is None) != (self.s3_secret_key is None):
            there, missing = ("s3", "s3SecretKey") if self.s3 else ("s3SecretKey", "s3")
            raise Refusal(there, "…", f"it needs {missing} beside it", GUIDE[missing].command)
        return self

    @model_validator(mode="after")
    def _one_storage(self) -> LocalConfig:
        if self.blobs and self.s3:
            raise Refusal(
                "blobs", "…", "there is s3 as well, and shared storage is one", "pulumi config rm s3"
            )
        if self.blobs and self.scheduler != "yarn":
            why = "only nodes with YARN have Hadoop's client for blobs"
            raise Refusal("blobs", "…", why, "pulumi config set scheduler yarn")
        return self

    @model_validator(mode="after")
    def _nodes_fit(self) -> LocalConfig:
        # The last address is the broadcast address.
        room = self.subnet.num_addresses - 2 - FIRST_NODE
        if self.workers > room:
            raise Refusal(
                "subnet",
                self.subnet,
                f"it has room for {max(room, 0)} workers, not for {self.workers}",
                GUIDE["subnet"].command,
            )
        return self

    def address(self, number: int) -> IPv4Address:
        """Address of the head (0) or of worker `number`; it stays when the number of workers changes."""
        return self.subnet[FIRST_NODE + number]
