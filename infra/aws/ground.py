"""Network and firewall of the machines: the stack's own, or the company's, of which nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.aws import network_plan
from infra.aws.network import Network, NetworkArgs
from infra.aws.security import SecurityGroups, SecurityGroupsArgs
from infra.aws.settings.config import AwsConfig
from infra.aws.settings.existing import GivenGroups, Subnets


@dataclass(frozen=True)
class Ground:
    """Subnets and security groups of the machines, and what must exist before they boot."""

    head_subnet: pulumi.Input[str]
    worker_subnets: Sequence[pulumi.Input[str]]
    head_groups: Sequence[pulumi.Input[str]]
    worker_groups: Sequence[pulumi.Input[str]]
    after: Sequence[pulumi.Resource] = ()


def ground(
    config: AwsConfig, stack: str, *, after: Sequence[pulumi.Resource], opts: pulumi.ResourceOptions
) -> Ground:
    """Create what the configuration does not name. The network, which may have a NAT gateway, is destroyed
    before `after`; so are security groups in a given one."""
    if config.vpc and config.subnets:
        within = pulumi.ResourceOptions(provider=opts.provider, depends_on=list(after))
        return _given(config, stack, config.vpc, config.subnets, within)
    network = Network(
        "network",
        NetworkArgs(
            stack,
            config.region,
            network_plan.plan(config.cidr, config.zones),
            egress=config.egress,
            flow_logs=config.flow_logs,
            cloud_logs=config.cloud_logs is not None,
            boundary=config.permissions_boundary,
        ),
        pulumi.ResourceOptions(provider=opts.provider, depends_on=list(after)),
    )
    firewall = _firewall(config, stack, network.vpc_id, opts)
    return Ground(
        network.public_subnet_ids[0],
        network.private_subnet_ids,
        [firewall.head_id],
        [firewall.worker_id],
        after=[network, firewall],
    )


def _given(config: AwsConfig, stack: str, vpc: str, subnets: Subnets, opts: pulumi.ResourceOptions) -> Ground:
    groups = config.security_groups or GivenGroups(additional=True)
    if not groups.additional:
        return Ground(subnets.head, subnets.workers, groups.head, groups.workers)
    firewall = _firewall(config, stack, vpc, opts)
    return Ground(
        subnets.head,
        subnets.workers,
        [firewall.head_id, *groups.head],
        [firewall.worker_id, *groups.workers],
        after=[firewall],
    )


def _firewall(
    config: AwsConfig, stack: str, vpc: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> SecurityGroups:
    args = SecurityGroupsArgs(
        stack, vpc, config.admin_cidrs, package_proxy=config.package_proxy, efa=config.efa
    )
    return SecurityGroups("firewall", args, opts)
