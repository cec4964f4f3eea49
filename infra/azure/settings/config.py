"""What the stack of a cluster on Azure HDInsight may say. Pure: all is checked against the tables here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from infra.azure import network_plan
from infra.azure.settings import name_rules, rules, sizes
from infra.azure.settings.autoscale import Autoscale
from infra.settings.fields import PrivateKeyFile, Unset, ipv4_range, known_region
from infra.settings.network import SOURCES, private_range, range_hint
from infra.settings.section import ENCRYPTED, MAX_WORKERS, YES_OR_NO, Hint, StackSettings

StorageMode = Literal["wasbs-key", "wasbs-msi", "abfss-msi"]

HEADS: Final = 2
ZOOKEEPERS: Final = 3
"""HDInsight takes neither more nor less of these."""


@dataclass(frozen=True)
class Machines:
    """Those of one role: `size` is the setting `key`'s, and there are `min_count` to `max_count` of them."""

    role: sizes.Role
    words: str
    """What we call them."""
    key: str
    size: str
    min_count: int
    max_count: int


def _region(name: str) -> str:
    return known_region(name, sizes.table().regions)


def _vnet_range(cidr: IPv4Network) -> IPv4Network:
    return private_range(cidr, network_plan.LARGEST, network_plan.SMALLEST, "a network of one cluster")


def _text(value: object) -> object:
    """`pulumi config set --path tags.CostCentre 42` writes a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _password(value: object) -> object:
    """What only the engine can read is not judged where there is none."""
    return value if value in (None, ENCRYPTED) else name_rules.gateway_password(value)


def _sizes(role: sizes.Role) -> str:
    return ", ".join(sizes.table().sizes_for(role))


Guid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
ClusterName = Annotated[str, AfterValidator(name_rules.cluster_name)]
StackName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/)?[A-Za-z0-9_.-]{1,100}$")]
Source = Annotated[
    IPv4Network, BeforeValidator(partial(ipv4_range, ipv4_only="HDInsight's endpoints speak IPv4 only"))
]
TagValue = Annotated[str, BeforeValidator(_text)]
Password = Annotated[SecretStr | None, BeforeValidator(_password), Unset]


class AzureConfig(StackSettings):
    """A Spark cluster of HDInsight 5.1 in one region, or the storage that outlives it; see docs/azure.md."""

    provider: Annotated[Literal["azure"], Hint("azure")] = "azure"

    # Where, and what
    subscription: Annotated[
        Guid | None,
        Unset,
        Hint(
            "00000000-0000-0000-0000-000000000000",
            "the id of a subscription, as `az account show` has it",
        ),
    ] = None
    """Without it, `ARM_SUBSCRIPTION_ID`'s, what `az account show` shows, or the only one of the login."""
    region: Annotated[
        str, AfterValidator(_region), Hint("westeurope", lambda: ", ".join(sizes.table().regions))
    ]
    part: Annotated[Literal["cluster", "storage"], Hint("cluster", "cluster, storage")] = "cluster"
    """`storage`: a stack that only holds the storage of others (their `storageStack`), and outlives them."""
    cluster_name: Annotated[
        ClusterName | None,
        Unset,
        Hint("caffe-spark-0815", f"3 to {name_rules.MAX_CLUSTER_NAME} letters, digits and hyphens"),
    ] = None
    """Without it, the stack's name and six hexadecimal digits of a digest of its resource group's id: it is
    unique in the world."""

    # Network
    cidr: Annotated[
        IPv4Network,
        AfterValidator(_vnet_range),
        range_hint("10.50.0.0/16", network_plan.LARGEST, network_plan.SMALLEST),
    ] = IPv4Network("10.50.0.0/16")
    admin_cidrs: Annotated[tuple[Source, ...], SOURCES] = ()
    """Who may reach SSH and the gateway's pages; none only with Private Link."""
    resource_provider_connection: Annotated[
        Literal["inbound", "outbound"], Hint("inbound", "inbound, outbound")
    ] = "inbound"
    """Who opens the connections between HDInsight and the cluster that it manages."""
    private_link: Annotated[bool, Hint("true", YES_OR_NO)] = False

    # Machines
    workers: Annotated[int, Hint("3", f"1 to {MAX_WORKERS}")] = Field(default=2, ge=1, le=MAX_WORKERS)
    """Pulumi.yaml has a default for every stack; HDFS wants three here, which the stack file says."""
    head_size: Annotated[str, Hint("Standard_E8_V3", lambda: _sizes("head"))] = "Standard_E8_V3"
    worker_size: Annotated[str, Hint("Standard_E8_V3", lambda: _sizes("worker"))] = "Standard_E8_V3"
    zookeeper_size: Annotated[str, Hint("Standard_A2_v2", lambda: _sizes("zookeeper"))] = "Standard_A2_v2"
    autoscale: Annotated[
        Autoscale | None,
        Unset,
        Hint(
            "3",
            "min and max (by load), or timeZone and schedule: a list of days, time (HH:MM), min and max",
            at=("min",),
        ),
    ] = None
    encryption_at_host: Annotated[bool, Hint("true", YES_OR_NO)] = False

    # Storage
    storage_mode: Annotated[StorageMode, Hint("wasbs-key", "wasbs-key, wasbs-msi, abfss-msi")] = "wasbs-key"
    storage_stack: Annotated[
        StackName | None,
        Unset,
        Hint("azure-storage", "the name of a stack whose part is storage, or organization/project/name"),
    ] = None
    """The stack whose storage this cluster uses; without it, the cluster's stack has its own."""
    container: Annotated[
        str,
        AfterValidator(name_rules.container),
        Hint("cluster", "3 to 63 small letters, digits and hyphens"),
    ] = "cluster"
    force_destroy: Annotated[bool, Hint("false", YES_OR_NO)] = False
    """Whether the storage goes with the stack even when something is in it."""

    # Access
    ssh_user: Annotated[
        str, AfterValidator(name_rules.ssh_user), Hint("sshuser", "2 to 20 small letters, digits and hyphens")
    ] = "sshuser"
    public_key_file: Annotated[
        str | None, Unset, Hint("~/.ssh/id_rsa.pub", "the path of an RSA key pair's public half")
    ] = None
    private_key_file: Annotated[
        PrivateKeyFile | None,
        Unset,
        Hint("~/.ssh/id_rsa", "the path of that pair's private half on this machine"),
    ] = None
    """An RSA key pair of the operator's; without it, one is made with the stack."""
    gateway_user: Annotated[
        str, AfterValidator(name_rules.gateway_user), Hint("admin", "2 to 20 letters and digits")
    ] = "admin"
    gateway_password: Annotated[
        Password, Hint("", f"{name_rules.MIN_PASSWORD} to {name_rules.MAX_PASSWORD} characters")
    ] = None
    """Without it, one is made with the stack."""

    # What is seen of it
    log_analytics: Annotated[bool, Hint("true", YES_OR_NO)] = False
    tags: Annotated[
        Mapping[str, TagValue],
        AfterValidator(name_rules.tags),
        Hint("42", "names and texts (`--type string` where one is true)", at=("CostCentre",)),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> AzureConfig:
        rules.check(self)
        return self

    @property
    def bounds(self) -> tuple[int, int]:
        """The fewest and the most workers that there may be."""
        return self.autoscale.bounds if self.autoscale else (self.workers, self.workers)

    @property
    def machines(self) -> tuple[Machines, ...]:
        """What a cluster is made of."""
        low, high = self.bounds
        return (
            Machines("head", "heads", "headSize", self.head_size, HEADS, HEADS),
            Machines("worker", "workers", "workerSize", self.worker_size, low, high),
            Machines("zookeeper", "ZooKeepers", "zookeeperSize", self.zookeeper_size, ZOOKEEPERS, ZOOKEEPERS),
        )

    @property
    def worker(self) -> sizes.Size:
        """What a worker is made of."""
        return sizes.table().sizes[self.worker_size]

    @property
    def by_identity(self) -> bool:
        """Whether the cluster reaches its storage as a managed identity, not by the account's key."""
        return self.storage_mode != "wasbs-key"

    @property
    def hierarchical(self) -> bool:
        """Whether the file system is Data Lake Storage Gen2."""
        return self.storage_mode == "abfss-msi"
