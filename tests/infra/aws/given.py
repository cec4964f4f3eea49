"""A company's network and roles in moto: a VPC with a subnet for the head and two for workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3

from infra.aws.settings.config import AwsConfig
from tests.cloud.aws_account import REGION

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass(frozen=True)
class Network:
    """Ids of what is there."""

    vpc: str
    head: str
    workers: list[str]
    groups: list[str]
    """Of the head, of the workers; AWS's default rules: nothing in, everything out."""

    def config(self, **values: Any) -> AwsConfig:
        """A stack in it."""
        there = {"region": REGION, "vpc": self.vpc, "subnets": {"head": self.head, "workers": self.workers}}
        return AwsConfig.model_validate({**there, **values})


def given_network(cidr: str = "10.1.0.0/16") -> Network:
    """A network in moto, without any way out."""
    ec2 = boto3.client("ec2", region_name=REGION)
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    start = cidr.rsplit(".", 2)[0]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"{start}.{number}.0/24", AvailabilityZone=f"{REGION}{letter}"
        )["Subnet"]["SubnetId"]
        for number, letter in enumerate("abc")
    ]
    groups = [
        ec2.create_security_group(VpcId=vpc, GroupName=f"company-{role}", Description=role)["GroupId"]
        for role in ("head", "workers")
    ]
    return Network(vpc, subnets[0], subnets[1:], groups)


def given_profile(name: str, role: str | None = None) -> str:
    """An instance profile with a role; returns the role's ARN."""
    iam = boto3.client("iam", region_name=REGION)
    made = role or f"{name}-role"
    if role is None:
        iam.create_role(RoleName=made, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=made)
    return iam.get_role(RoleName=made)["Role"]["Arn"]
