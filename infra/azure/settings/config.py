"""Configuration schema of an HDInsight stack, validated against the tables in this folder. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from bootstrap.cluster import HDINSIGHT, SparkLine
from infra.azure import network_plan
from infra.azure.settings import given, name_rules, rules, sizes
from infra.azure.settings.autoscale import Autoscale
from infra.settings.budget import BudgetSetting, IdleStop
from infra.settings.fields import PrivateKeyFile, Unset, ipv4_range, known_region
from infra.settings.network import SOURCES, private_range, range_hint
from infra.settings.section import ENCRYPTED, MAX_WORKERS, YES_OR_NO, Hint, StackSettings

StorageMode = Literal["wasbs-key", "wasbs-msi", "abfss-msi"]

HEADS: Final = 2
ZOOKEEPERS: Final = 3
"""Numbers fixed by HDInsight."""


@dataclass(frozen=True)
class Machines:
    """Machines of one role: `min_count` to `max_count` of a `size`, which the setting `key` names."""

    role: sizes.Role
    words: str
    """Plural for messages."""
    key: str
    size: str
    min_count: int
    max_count: int


def _region(name: str) -> str:
    return known_region(name, sizes.table().regions)


def _vnet_range(cidr: IPv4Network) -> IPv4Network:
    return private_range(cidr, network_plan.LARGEST, network_plan.SMALLEST, "a network of one cluster")


def _text(value: object) -> object:
    """Convert numbers to text: `pulumi config set --path tags.CostCentre 42` writes a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _password(value: object) -> object:
    """Validate the password, unless only the engine can decrypt it."""
    return value if value in (None, ENCRYPTED) else name_rules.gateway_password(value)


def _sizes(role: sizes.Role) -> str:
    return ", ".join(sizes.table().sizes_for(role))


Guid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
ClusterName = Annotated[str, AfterValidator(name_rules.cluster_name)]
StackName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/)?[A-Za-z0-9_.-]{1,100}$")]
SubnetId = Annotated[str, AfterValidator(given.subnet)]
AccountId = Annotated[str, AfterValidator(given.account)]
IdentityId = Annotated[str, AfterValidator(given.identity)]
Source = Annotated[
    IPv4Network, BeforeValidator(partial(ipv4_range, ipv4_only="HDInsight's endpoints support IPv4 only"))
]
TagValue = Annotated[str, BeforeValidator(_text)]
Password = Annotated[SecretStr | None, BeforeValidator(_password), Unset]


class AzureConfig(StackSettings):
    """A Spark cluster on HDInsight 5.1 in one region, or storage that outlives clusters; see
    docs/azure.md."""

    provider: Annotated[Literal["azure"], Hint("azure")] = "azure"

    # Where, and what
    subscription: Annotated[
        Guid | None,
        Unset,
        Hint(
            "00000000-0000-0000-0000-000000000000",
            "the id of a subscription, as in `az account show`",
        ),
    ] = None
    """Default: `ARM_SUBSCRIPTION_ID`, that of `az account show`, or the login's only one."""
    region: Annotated[
        str, AfterValidator(_region), Hint("westeurope", lambda: ", ".join(sizes.table().regions))
    ]
    part: Annotated[Literal["cluster", "storage"], Hint("cluster", "cluster, storage")] = "cluster"
    """`storage`: a stack that only has storage for other stacks (their `storageStack`), and outlives them."""
    cluster_name: Annotated[
        ClusterName | None,
        Unset,
        Hint("caffe-spark-0815", f"3 to {name_rules.MAX_CLUSTER_NAME} letters, digits and hyphens"),
    ] = None
    """Globally unique. Default: the stack's name and six hexadecimal digits of a digest of its resource
    group's id."""

    # Network
    cidr: Annotated[
        IPv4Network,
        AfterValidator(_vnet_range),
        range_hint("10.50.0.0/16", network_plan.LARGEST, network_plan.SMALLEST),
    ] = IPv4Network("10.50.0.0/16")
    subnet_id: Annotated[SubnetId | None, Unset, given.SUBNET_HINT] = None
    """An existing subnet; without it, the stack has its own network."""
    admin_cidrs: Annotated[tuple[Source, ...], SOURCES] = ()
    """Ranges that may reach SSH, the gateway and the stack's own storage; `rules` tells if any are needed."""
    resource_provider_connection: Annotated[
        Literal["inbound", "outbound"], Hint("inbound", "inbound, outbound")
    ] = "inbound"
    """Direction of connections between HDInsight's management and the cluster."""
    private_link: Annotated[bool, Hint("true", YES_OR_NO)] = False

    # Machines
    spark: Annotated[SparkLine, Hint(HDINSIGHT, HDINSIGHT)] = HDINSIGHT
    """HDInsight's line; its image brings Spark and Hadoop."""
    workers: Annotated[int, Hint("3", f"1 to {MAX_WORKERS}")] = Field(default=2, ge=1, le=MAX_WORKERS)
    """The default is Pulumi.yaml's for every stack; HDFS needs three here, as in the stack file."""
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
    """The stack whose storage this cluster uses; by default the cluster's own stack."""
    storage_account_id: Annotated[AccountId | None, Unset, given.ACCOUNT_HINT] = None
    """An existing account with existing containers, which the stack neither changes nor deletes."""
    scripts_account_id: Annotated[AccountId | None, Unset, given.SCRIPTS_HINT] = None
    """The existing account of scripts beside one of Data Lake Storage."""
    identity_id: Annotated[IdentityId | None, Unset, given.IDENTITY_HINT] = None
    """An existing identity for the storage; by default the stack's own, where the mode needs one."""
    assign_role: Annotated[bool | None, Unset, Hint("true", YES_OR_NO)] = None
    """Give the identity its role on the storage; by default, unless that is `storage_account_id`."""
    container: Annotated[
        str,
        AfterValidator(name_rules.container),
        Hint("cluster", "3 to 63 lower-case letters, digits and hyphens"),
    ] = "cluster"
    force_destroy: Annotated[bool, Hint("false", YES_OR_NO)] = False
    """Delete the storage with the stack even if it is not empty."""

    # Access
    ssh_user: Annotated[
        str,
        AfterValidator(name_rules.ssh_user),
        Hint("sshuser", "2 to 20 lower-case letters, digits and hyphens"),
    ] = "sshuser"
    public_key_file: Annotated[
        str | None, Unset, Hint("~/.ssh/id_rsa.pub", "the path of an RSA public key")
    ] = None
    private_key_file: Annotated[
        PrivateKeyFile | None,
        Unset,
        Hint("~/.ssh/id_rsa", "the path of its private key on this machine"),
    ] = None
    """The operator's RSA key pair; without it, the stack generates one."""
    gateway_user: Annotated[
        str, AfterValidator(name_rules.gateway_user), Hint("admin", "2 to 20 letters and digits")
    ] = "admin"
    gateway_password: Annotated[
        Password, Hint("", f"{name_rules.MIN_PASSWORD} to {name_rules.MAX_PASSWORD} characters")
    ] = None
    """Without it, the stack generates one."""

    # Monitoring
    log_analytics: Annotated[bool, Hint("true", YES_OR_NO)] = False
    tags: Annotated[
        Mapping[str, TagValue],
        AfterValidator(name_rules.tags),
        Hint("42", "names and texts (with `--type string` for true or false)", at=("CostCentre",)),
    ] = Field(default_factory=dict)

    # Cost
    budget: BudgetSetting = None
    """What the stack may cost an hour, and in total."""
    idle_stop: IdleStop = None
    """Time after the last job's end, after which `fab status` says what staying costs."""

    @model_validator(mode="after")
    def _fits_together(self) -> AzureConfig:
        rules.check(self)
        return self

    @property
    def bounds(self) -> tuple[int, int]:
        """Minimum and maximum number of workers."""
        return self.autoscale.bounds if self.autoscale else (self.workers, self.workers)

    @property
    def machines(self) -> tuple[Machines, ...]:
        """Machines of the cluster, by role."""
        low, high = self.bounds
        return (
            Machines("head", "heads", "headSize", self.head_size, HEADS, HEADS),
            Machines("worker", "workers", "workerSize", self.worker_size, low, high),
            Machines("zookeeper", "ZooKeepers", "zookeeperSize", self.zookeeper_size, ZOOKEEPERS, ZOOKEEPERS),
        )

    @property
    def worker(self) -> sizes.Size:
        """Size of a worker."""
        return sizes.table().sizes[self.worker_size]

    @property
    def own_storage(self) -> bool:
        """True if the stack has a storage account of its own."""
        return not (self.storage_stack or self.storage_account_id)

    @property
    def gives_role(self) -> bool:
        """True if the stack assigns the identity's role; otherwise the identity must have it."""
        by_default = self.storage_account_id is None
        return self.by_identity and (by_default if self.assign_role is None else self.assign_role)

    @property
    def users(self) -> tuple[str, str]:
        """Users of the gateway and of SSH, with whose names a password may not share characters."""
        return self.gateway_user, self.ssh_user

    @property
    def by_identity(self) -> bool:
        """True if the cluster accesses its storage with a managed identity instead of the account's key."""
        return self.storage_mode != "wasbs-key"

    @property
    def hierarchical(self) -> bool:
        """True if the file system is Data Lake Storage Gen2."""
        return self.storage_mode == "abfss-msi"
