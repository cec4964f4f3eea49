"""Firewall of the cluster: rules as data, and the component that turns them into security groups.

From the internet, only SSH to the head is allowed, from the ranges in the stack file. EFA's traffic, which is
not TCP, needs a group that lets everything in and out, from and to itself. Security groups do not
filter traffic to the VPC's own resolver, clock and metadata service (169.254.0.0/16), so these need no rule:
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from bootstrap.paths import DEPOT_PORT
from infra.aws.network import ANYWHERE, HTTPS
from infra.tags import full_name

Group = Literal["head", "worker"]
Ports = tuple[int, int]

HTTP: Final = 80
SSH: Final = 22
SPARK_MASTER: Final = 7077
SPARK_MASTER_PAGE: Final = 8080
SPARK_WORKER_PAGE: Final = 8081
PACKAGE_PROXY: Final = 3142
EVERY_PORT: Final[Ports] = (0, 65535)
EVERYTHING: Final = "-1"
"""AWS's name of all protocols."""
EPHEMERAL: Final[Ports] = (32768, 60999)
"""Linux's net.ipv4.ip_local_port_range, from which programs without a fixed port get one: drivers, executors,
their block transfer, Spark's worker daemon, the trainer's progress channel, ranks."""


@dataclass(frozen=True)
class Flow:
    """Connections opened from one group to another; each becomes a rule on either side."""

    source: Group
    target: Group
    ports: Ports
    why: str


@dataclass(frozen=True)
class Rule:
    """A security group rule; `peer` is a group of the stack, or a range."""

    group: Group
    direction: Literal["in", "out"]
    peer: Group | IPv4Network
    ports: Ports
    why: str
    protocol: Literal["tcp", "-1"] = "tcp"

    @property
    def everything(self) -> bool:
        """Every protocol and port, which EFA needs between members of one group."""
        return self.protocol == EVERYTHING

    @property
    def key(self) -> str:
        """Resource name derived from the rule itself, so that adding a rule renames no other."""
        first, last = self.ports
        ports = str(first) if first == last else f"{first}-{last}"
        ports = "everything" if self.everything else ports
        peer = str(self.peer).replace("/", "-")
        return f"{self.group}-{self.direction}-{peer}-{ports}"


def _one(port: int) -> Ports:
    return (port, port)


FLOWS: Final = (
    Flow("head", "worker", _one(SSH), "Provisioning: workers are reached through the head"),
    Flow("worker", "head", _one(SPARK_MASTER), "Spark: workers register with the master"),
    Flow("worker", "head", _one(SPARK_MASTER_PAGE), "Spark: a worker asks whether the master knows it"),
    Flow("worker", "head", _one(DEPOT_PORT), "Files that the head spreads to workers"),
    Flow("worker", "head", EPHEMERAL, "Spark: executors call their driver, which listens on a random port"),
    Flow("head", "worker", _one(SPARK_WORKER_PAGE), "Spark: the page of a worker, through an SSH tunnel"),
    Flow("head", "worker", EPHEMERAL, "Spark: master and driver call workers and executors on random ports"),
    Flow("worker", "worker", EPHEMERAL, "Spark block transfer and the all-reduce, on random ports"),
)
"""Flows within the cluster. There is no HDFS: S3 is the shared storage."""
PROXY_FLOW: Final = Flow(
    "worker", "head", _one(PACKAGE_PROXY), "Packages of the distribution, through the proxy on the head"
)


EFA: Final = tuple(
    Rule("worker", direction, "worker", EVERY_PORT, "EFA: NCCL between the GPUs of workers", EVERYTHING)
    for direction in ("in", "out")
)
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-efa.md, read on 2026-11-30: "the EFA must be a
member of a security group that allows all inbound and outbound traffic to and from the security group
itself"."""


def rules(admin_cidrs: Sequence[IPv4Network], *, package_proxy: bool, efa: bool = False) -> list[Rule]:
    """Return all rules of a stack; with `package_proxy`, workers reach only AWS's own endpoints."""
    flows = (*FLOWS, PROXY_FLOW) if package_proxy else FLOWS
    outside = _to_the_outside(package_proxy)
    return [*_both_sides(flows), *(EFA if efa else ()), *_from_operators(admin_cidrs), *outside]


def _both_sides(flows: Iterable[Flow]) -> Iterator[Rule]:
    for flow in flows:
        yield Rule(flow.target, "in", flow.source, flow.ports, flow.why)
        yield Rule(flow.source, "out", flow.target, flow.ports, flow.why)


def _from_operators(cidrs: Iterable[IPv4Network]) -> Iterator[Rule]:
    for cidr in cidrs:
        yield Rule("head", "in", cidr, _one(SSH), "SSH of an operator (adminCidrs)")


def _to_the_outside(package_proxy: bool) -> Iterator[Rule]:
    """Allow two ports to every address, since neither AWS's services nor mirrors have fixed ones."""
    anywhere = IPv4Network(ANYWHERE)
    mirrors = "Mirrors of the distribution, whose packages are signed"
    aws_services = "AWS services (S3, Systems Manager, Auto Scaling, STS)"
    yield Rule("head", "out", anywhere, _one(HTTPS), f"{aws_services}, sources and packages over HTTPS")
    yield Rule("head", "out", anywhere, _one(HTTP), mirrors)
    if package_proxy:
        yield Rule("worker", "out", anywhere, _one(HTTPS), f"{aws_services} through their endpoints")
        return
    yield Rule("worker", "out", anywhere, _one(HTTPS), f"{aws_services} and packages over HTTPS")
    yield Rule("worker", "out", anywhere, _one(HTTP), mirrors)


@dataclass(frozen=True)
class SecurityGroupsArgs:
    """`package_proxy`: the head runs a package proxy for the workers (egress: endpoints). `efa`: workers use
    EFA among themselves."""

    stack: str
    vpc_id: pulumi.Input[str]
    admin_cidrs: tuple[IPv4Network, ...] = ()
    package_proxy: bool = False
    efa: bool = False


_RuleType = type[aws.vpc.SecurityGroupIngressRule] | type[aws.vpc.SecurityGroupEgressRule]
_KINDS: Final[dict[str, _RuleType]] = {
    "in": aws.vpc.SecurityGroupIngressRule,
    "out": aws.vpc.SecurityGroupEgressRule,
}


class SecurityGroups(pulumi.ComponentResource):
    """Security groups of the head and of the workers, with the rules of `rules`."""

    head_id: pulumi.Output[str]
    worker_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: SecurityGroupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("caffe-spark:aws:SecurityGroups", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        about: dict[Group, str] = {"head": "The head of the cluster", "worker": "Workers of the cluster"}
        ids: dict[Group, pulumi.Output[str]] = {
            group: aws.ec2.SecurityGroup(
                f"{name}-{group}",
                vpc_id=args.vpc_id,
                # A description cannot be changed in place; a name prefix lets the replacement be created
                # first.
                name_prefix=f"{full_name(args.stack, group)}-",
                description=description,
                tags={"Name": full_name(args.stack, group)},
                opts=child,
            ).id
            for group, description in about.items()
        }
        for rule in rules(args.admin_cidrs, package_proxy=args.package_proxy, efa=args.efa):
            _KINDS[rule.direction](
                f"{name}-{rule.key}",
                security_group_id=ids[rule.group],
                description=rule.why,
                ip_protocol=rule.protocol,
                # AWS refuses ports beside all protocols.
                from_port=None if rule.everything else rule.ports[0],
                to_port=None if rule.everything else rule.ports[1],
                cidr_ipv4=str(rule.peer) if isinstance(rule.peer, IPv4Network) else None,
                referenced_security_group_id=None if isinstance(rule.peer, IPv4Network) else ids[rule.peer],
                opts=child,
            )
        self.head_id, self.worker_id = ids["head"], ids["worker"]
        self.register_outputs({"head_id": self.head_id, "worker_id": self.worker_id})
