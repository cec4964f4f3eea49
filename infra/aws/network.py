"""Network of the stack: a VPC with a public subnet for the head and private ones for workers, in several
zones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
import pulumi_aws as aws

from infra.aws import network_plan
from infra.aws.names import prefix
from infra.aws.network_plan import NetworkPlan
from infra.tags import full_name

Kind = Literal["public", "private"]

ANYWHERE: Final = "0.0.0.0/0"
HTTPS: Final = 443
MAX_ROLE_PREFIX: Final = 38
FLOW_LOG_DAYS: Final = 14
"""CloudWatch bills storage by the month; flow logs serve to look at recent traffic."""


@dataclass(frozen=True)
class NetworkArgs:
    """`egress` is how private subnets reach the internet (see `infra.aws.settings.config`)."""

    stack: str
    region: str
    plan: NetworkPlan
    egress: Literal["nat", "endpoints"] = "nat"
    flow_logs: bool = False
    cloud_logs: bool = False
    """Machines send their logs to CloudWatch: with `endpoints`, through one of its own."""
    boundary: str | None = None
    """Permissions boundary of the flow logs' role."""


class Network(pulumi.ComponentResource):
    """VPC, subnets, routes, endpoints. Instances depend on all of it: one that boots earlier has no way
    out."""

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    """In the plan's order; the first one has the head's address."""
    private_subnet_ids: list[pulumi.Output[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:aws:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(args.plan.cidr),
            # Private DNS of interface endpoints requires both.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._named("vpc"),
            opts=self._child,
        )
        self.vpc_id = self._vpc.id
        # Resources without a security group of their own can then communicate with nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-group", vpc_id=self.vpc_id, tags=self._named("unused"), opts=self._child
        )

        gateway = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=self.vpc_id, tags=self._named("internet"), opts=self._child
        )
        public, self.public_subnet_ids = self._subnets("public")
        private, self.private_subnet_ids = self._subnets("private")
        aws.ec2.Route(
            f"{name}-public-out",
            route_table_id=public.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        # Free of charge; otherwise frameworks, data and snapshots would pay a NAT gateway for each byte.
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=self.vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{args.region}.s3",
            route_table_ids=[public.id, private.id],
            tags=self._named("s3"),
            opts=self._child,
        )
        if args.egress == "nat":
            self._nat(private, gateway)
        else:
            self._endpoints()
        if args.flow_logs:
            self._flow_logs()
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
            }
        )

    def _named(self, part: str) -> dict[str, str]:
        """Return the Name tag, for the console; the provider's default tags identify the stack."""
        return {"Name": full_name(self._args.stack, part)}

    def _subnets(self, kind: Kind) -> tuple[aws.ec2.RouteTable, list[pulumi.Output[str]]]:
        """Create a subnet of that kind in each zone, and their route table, which has no default route
        yet."""
        table = aws.ec2.RouteTable(
            f"{self._name}-{kind}", vpc_id=self.vpc_id, tags=self._named(kind), opts=self._child
        )
        made = []
        for planned in self._args.plan.subnets:
            subnet = aws.ec2.Subnet(
                f"{self._name}-{kind}-{planned.zone}",
                vpc_id=self.vpc_id,
                availability_zone=planned.zone,
                cidr_block=str(getattr(planned, kind)),
                # An instance that needs a public address requests it itself.
                map_public_ip_on_launch=False,
                tags=self._named(f"{kind}-{planned.zone}"),
                opts=self._child,
            )
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{kind}-{planned.zone}",
                subnet_id=subnet.id,
                route_table_id=table.id,
                opts=self._child,
            )
            made.append(subnet.id)
        return table, made

    def _nat(self, private: aws.ec2.RouteTable, gateway: aws.ec2.InternetGateway) -> None:
        """Create one NAT gateway for all zones: each costs by the hour, and workers are spot instances
        anyway."""
        address = aws.ec2.Eip(f"{self._name}-nat", domain="vpc", tags=self._named("nat"), opts=self._child)
        nat = aws.ec2.NatGateway(
            f"{self._name}-nat",
            allocation_id=address.id,
            subnet_id=self.public_subnet_ids[0],
            tags=self._named("nat"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )
        aws.ec2.Route(
            f"{self._name}-private-out",
            route_table_id=private.id,
            destination_cidr_block=ANYWHERE,
            nat_gateway_id=nat.id,
            opts=self._child,
        )

    def _endpoints(self) -> None:
        """Create interface endpoints in one zone, since each costs by the hour and zone; private DNS resolves
        them in all."""
        cidr = str(self._args.plan.cidr)
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            vpc_id=self.vpc_id,
            name_prefix=f"{full_name(self._args.stack, 'endpoints')}-",
            description="Interface endpoints of AWS services",
            tags=self._named("endpoints"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-endpoints",
            security_group_id=group.id,
            description="AWS services for the machines of this VPC",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            cidr_ipv4=cidr,
            opts=self._child,
        )
        for service in network_plan.endpoints(logs=self._args.cloud_logs):
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}",
                vpc_id=self.vpc_id,
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{self._args.region}.{service}",
                subnet_ids=[self.private_subnet_ids[0]],
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self._named(service),
                opts=self._child,
            )

    def _flow_logs(self) -> None:
        """Enable flow logs, kept for two weeks and encrypted with CloudWatch's own key."""
        group = aws.cloudwatch.LogGroup(
            f"{self._name}-flows",
            name_prefix=f"{full_name(self._args.stack, 'flows')}-",
            retention_in_days=FLOW_LOG_DAYS,
            opts=self._child,
        )
        role = aws.iam.Role(
            f"{self._name}-flows",
            name_prefix=prefix(self._args.stack, "flows", MAX_ROLE_PREFIX),
            description="Lets VPC flow logs write to their log group",
            assume_role_policy=self._vpc.arn.apply(flow_logs_trust),
            permissions_boundary=self._args.boundary,
            opts=self._child,
        )
        written = aws.iam.RolePolicy(
            f"{self._name}-flows", role=role.id, policy=group.arn.apply(flow_logs_policy), opts=self._child
        )
        aws.ec2.FlowLog(
            f"{self._name}-flows",
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags=self._named("flows"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[written]),
        )


def flow_logs_trust(vpc_arn: str) -> str:
    """Return the trust policy: flow logs of the VPC's own account may assume the role."""
    account = vpc_arn.split(":")[4]
    return _policy(
        {
            "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    )


def flow_logs_policy(group_arn: str) -> str:
    """Return the policy that allows writing to one log group."""
    return _policy(
        {
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": [group_arn, f"{group_arn}:*"],
        },
        # Supports no resources:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
        {"Action": "logs:DescribeLogGroups", "Resource": "*"},
    )


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    )
