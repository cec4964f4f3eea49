"""Configuration schema of a stack on AWS, validated against the table of regions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bootstrap.cluster import HDINSIGHT, NEWEST, SparkLine
from infra.aws import network_plan
from infra.aws.settings import defaults, existing, regions, rules, tag_rules
from infra.aws.settings.cloud_logs import CloudLogsSetting
from infra.aws.settings.fallback import FallbackAfter
from infra.aws.settings.kms import KmsKey
from infra.aws.settings.reservation import Reservation
from infra.aws.settings.values import AMI, VOLUME_GB, Ami, KeyPair, Percentage, Price, Volume, known
from infra.settings.budget import BudgetSetting, IdleStop, IdleStopHead
from infra.settings.fields import PrivateKeyFile, Unset, ipv4_range
from infra.settings.network import SOURCES, is_private, private_range, range_hint
from infra.settings.section import MAX_WORKERS, YES_OR_NO, Hint, StackSettings
from infra.settings.spark import Line

Role = Literal["head", "worker"]
Login = Literal["session_manager", "public_address", "private_address"]
Distribution = Literal["ubuntu-22.04", "ubuntu-24.04", "debian-12"]

DEFAULT_DISTRIBUTIONS: Final[Mapping[SparkLine, Distribution]] = {
    NEWEST: "ubuntu-24.04",
    # As earlier versions had it: stacks that are up keep their images.
    HDINSIGHT: "ubuntu-22.04",
}

MAX_JOIN_FAILURES: Final = 100
ALL: Final = 100
"""Percent."""


def _vpc_range(cidr: IPv4Network) -> IPv4Network:
    what = "a VPC with a public and a private subnet in each zone"
    return private_range(cidr, network_plan.LARGEST, network_plan.SMALLEST, what)


def _public(data: Mapping[str, Any]) -> bool:
    """Return whether the head has a public address: always in the stack's own network."""
    return not data.get("vpc") or any(not is_private(one) for one in data.get("admin_cidrs", ()))


Source = Annotated[
    IPv4Network, BeforeValidator(partial(ipv4_range, ipv4_only="the stack's VPC supports IPv4 only"))
]


class AwsConfig(StackSettings):
    """A head and a group of spot workers in one region; docs/aws.md describes each key."""

    provider: Annotated[Literal["aws"], Hint("aws")] = "aws"

    # Where
    region: Annotated[
        str, AfterValidator(known), Hint("eu-west-1", lambda: ", ".join(regions.table().regions))
    ]
    vpc: existing.VpcSetting = None
    """A network of the company; without it the stack creates its own."""
    # Before the zones: by default those that offer any of the types.
    instance_types: Annotated[
        tuple[str, ...], Hint("g4dn.xlarge", "a list of types that the region offers", at=(0,))
    ] = Field(default_factory=defaults.types)
    """Of the workers, all with the same number of GPUs."""
    zones: Annotated[tuple[str, ...], Hint("eu-west-1a", "a list of zones of the region", at=(0,))] = Field(
        default_factory=defaults.zones
    )
    """The head is in the first one."""

    # Network
    cidr: Annotated[
        IPv4Network,
        AfterValidator(_vpc_range),
        range_hint("10.40.0.0/16", network_plan.LARGEST, network_plan.SMALLEST),
    ] = IPv4Network("10.40.0.0/16")
    egress: Annotated[Literal["nat", "endpoints"], Hint("nat", "nat, endpoints")] = "nat"
    """Way out of private subnets: a NAT gateway, or interface endpoints of AWS services alone."""
    flow_logs: Annotated[bool, Hint("true", YES_OR_NO)] = False
    admin_cidrs: Annotated[tuple[Source, ...], SOURCES] = ()
    """Ranges that may reach the head's port 22; with none, SSH goes through Session Manager."""

    # A given network
    subnets: existing.SubnetsSetting = None
    security_groups: existing.GroupsSetting = None
    head_address: existing.AddressSetting = None
    head_public_address: Annotated[bool, Hint("true", YES_OR_NO)] = Field(default_factory=_public)
    package_proxy: Annotated[bool, Hint("true", YES_OR_NO)] = Field(
        default_factory=lambda data: data.get("egress") == "endpoints"
    )
    """Workers get the distribution's packages through the head, since their subnets have no way out."""

    # Given roles and tags
    instance_profiles: existing.ProfilesSetting = None
    permissions_boundary: existing.BoundarySetting = None
    """Of every role that the stack creates."""
    tags: tag_rules.TagsSetting = Field(default_factory=dict)
    """Of every resource, beside the stack's own."""

    # Machines
    spark: Line = NEWEST
    distribution: Annotated[
        Distribution, Hint("ubuntu-24.04", "ubuntu-24.04, ubuntu-22.04 (with spark 3.5), debian-12")
    ] = Field(default_factory=lambda data: DEFAULT_DISTRIBUTIONS[data.get("spark", NEWEST)])
    """Of head and workers alike: workers run what the head compiles."""
    head_type: Annotated[str, Hint("m6i.xlarge", "a type of the table without GPUs")] = Field(
        default_factory=defaults.head
    )
    head_volume_gb: Annotated[Volume, Hint("50", VOLUME_GB)] = 50
    head_ami: Annotated[Ami | None, Unset, Hint("ami-0123456789abcdef0", AMI)] = None
    worker_ami: Annotated[Ami | None, Unset, Hint("ami-0123456789abcdef0", AMI)] = None
    termination_protection: Annotated[bool, Hint("true", YES_OR_NO)] = False
    """Of the head."""

    # Workers
    workers: Annotated[int, Hint("2", f"1 to {MAX_WORKERS}")] = Field(default=2, ge=1, le=MAX_WORKERS)
    min_workers: Annotated[int, Hint("0", "0 to workers")] = Field(default=0, ge=0, le=MAX_WORKERS)
    max_workers: Annotated[int, Hint("4", f"workers to {2 * MAX_WORKERS}")] = Field(
        default_factory=lambda data: 2 * data["workers"], ge=1, le=2 * MAX_WORKERS
    )
    scale_to_queue: Annotated[bool, Hint("true", YES_OR_NO)] = False
    """The group grows for jobs up to `max_workers`, and shrinks to `min_workers` after `idle_stop`."""
    cpu_training: Annotated[bool, Hint("false", YES_OR_NO)] = False
    """Workers with GPUs may train on their CPUs; without it, such a build or job is refused."""
    on_demand_base: Annotated[int, Hint("0", "0 to maxWorkers")] = Field(default=0, ge=0)
    on_demand_percentage: Annotated[Percentage, Hint("0", "0 to 100")] = 0
    """Of the workers above the base."""
    fallback_after: FallbackAfter = None
    """Time for which AWS has no spot capacity, after which missing workers come on demand."""
    reservation: Reservation = None
    """Capacity reservation that the workers start in, all of them on demand."""
    capacity_block: Annotated[bool, Hint("true", YES_OR_NO)] = False
    """That reservation is a capacity block: paid in advance, and over at a set time."""
    placement_group: Annotated[bool, Hint("true", YES_OR_NO)] = False
    """Workers are close together, in a cluster placement group of the stack's."""
    efa: Annotated[bool, Hint("true", YES_OR_NO)] = False
    """Workers' GPUs exchange gradients by Elastic Fabric Adapter, and by nothing else."""
    max_price: Annotated[Price | None, Unset, Hint("0.80", "more than 0, e.g. 0.80; or leave it out")] = None
    """USD for a spot worker's hour; without it the limit is the on-demand price."""
    worker_volume_gb: Annotated[Volume, Hint("100", VOLUME_GB)] = 100
    capacity_rebalance: Annotated[bool, Hint("true", YES_OR_NO)] = True
    """Replace a spot worker that AWS expects to reclaim, before it does: jobs go on without it, and grow."""
    rebalance_notice: Annotated[bool, Hint("false", YES_OR_NO)] = False
    """Training leaves such a worker at once, minutes before its replacement is up."""

    max_join_failures: Annotated[int, Hint("3", f"1 to {MAX_JOIN_FAILURES}; 0: replace them for ever")] = (
        Field(default=3, ge=0, le=MAX_JOIN_FAILURES)
    )
    """Workers in a row that could not join, after which the group goes to zero."""

    # Storage and access
    kms_key: KmsKey = None
    """Customer managed key of all volumes; without it the account's default for EBS."""
    kms_grant: Annotated[bool, Hint("true", YES_OR_NO)] = True
    """The stack grants Auto Scaling's role the use of `kms_key`; its policy is never changed."""
    force_destroy: Annotated[bool, Hint("false", YES_OR_NO)] = False
    """Delete the bucket with the stack even if it is not empty."""
    key_pair: Annotated[KeyPair | None, Unset, Hint("NAME", "the name of a key pair in the region")] = None
    """Name of an existing key pair in the region; without it, the stack generates a key."""
    private_key_file: Annotated[
        PrivateKeyFile | None,
        Unset,
        Hint("~/.ssh/KEY.pem", "the path of that pair's private key on this machine"),
    ] = None

    cloud_logs: CloudLogsSetting = None
    """Logs of boots, services and jobs go to a log group in CloudWatch; None if they stay on the machines."""

    # Cost
    budget: BudgetSetting = None
    """What the stack may cost an hour, and in total."""
    idle_stop: IdleStop = None
    """Time after the last job's end, after which workers stop."""
    idle_stop_head: IdleStopHead = False
    """The head stops too, after the workers."""

    @model_validator(mode="after")
    def _fits_together(self) -> AwsConfig:
        rules.check(self)
        return self

    @property
    def creates_roles(self) -> bool:
        """True if the stack has a role of its own."""
        profiles = self.instance_profiles
        return profiles is None or profiles.job_role is None or self.flow_logs

    @property
    def login(self) -> Login:
        """Way of SSH to the head."""
        if not self.admin_cidrs:
            return "session_manager"
        return "private_address" if all(map(is_private, self.admin_cidrs)) else "public_address"

    @property
    def types(self) -> tuple[regions.InstanceType, ...]:
        """Instance types of the workers, in order of preference."""
        return tuple(regions.table().types[name] for name in self.instance_types)

    @property
    def spot(self) -> bool:
        """True if a worker may be a spot instance, now or after the group has grown."""
        return self.on_demand_percentage < ALL and self.on_demand_base < self.max_workers

    @property
    def gpus(self) -> int:
        """Number of GPUs of every worker."""
        return min(kind.gpus for kind in self.types)

    @property
    def efa_interfaces(self) -> int:
        """Number of EFA interfaces of every worker; 0 without `efa`."""
        return self.types[0].efa if self.efa else 0

    @property
    def compute_capabilities(self) -> tuple[str, ...]:
        """Compute capabilities of all GPUs that a worker may have, ascending, e.g. `("7.5", "8.6")`."""
        found = {kind.compute_capability for kind in self.types if kind.gpus}
        return tuple(sorted(found, key=lambda text: tuple(map(int, text.split(".")))))

    @property
    def vcpus(self) -> int:
        """Number of vCPUs that every worker has at least."""
        return min(kind.vcpus for kind in self.types)

    @property
    def memory_mib(self) -> int:
        """Memory that every worker has at least."""
        return min(kind.memory_mib for kind in self.types)

    @property
    def ssh_user(self) -> str:
        """Default account of the distribution's images."""
        return regions.table().users[self.distribution]

    def ami_parameter(self, role: Role) -> str:
        """Return the public SSM parameter with the newest image for that role."""
        kind: regions.Kind = "gpu" if role == "worker" and self.gpus else "plain"
        return regions.table().images[kind][self.distribution]
