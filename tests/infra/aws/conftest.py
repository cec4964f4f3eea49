"""A recording engine for stacks on AWS: what is registered, with which options, and outputs of AWS's shape.

It proves what the program asks for. That AWS would take it is the cross-check's to show (docs/aws.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs

from infra.aws.existing import Given
from tests.cloud.aws_account import REGION, aws_account, read_once
from tests.cloud.moto_server import moto_server as account_on_http
from tests.infra import recorder
from tests.infra.recorder import ROOT, STACK, ProviderMocks, Recording, Registration, StackProgram, plain

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = [
    "ACCOUNT",
    "REGION",
    "ROOT",
    "STACK",
    "AwsProgram",
    "Recording",
    "Registration",
    "aws_account",
    "bucket_on",
    "read_once",
    "record",
]

ACCOUNT = "123456789012"
IDS = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "sg",
    "aws:ec2/eip:Eip": "eipalloc",
    "aws:ec2/flowLog:FlowLog": "fl",
    "aws:ec2/instance:Instance": "i",
    "aws:ec2/internetGateway:InternetGateway": "igw",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt",
    "aws:ec2/natGateway:NatGateway": "nat",
    "aws:ec2/routeTable:RouteTable": "rtb",
    "aws:ec2/securityGroup:SecurityGroup": "sg",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "sgr",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
}
"""Type → how its ids begin."""
NAMED = {
    "aws:autoscaling/group:Group": "name",
    "aws:cloudwatch/logGroup:LogGroup": "name",
    "aws:ec2/keyPair:KeyPair": "keyName",
    "aws:ec2/placementGroup:PlacementGroup": "name",
    "aws:iam/instanceProfile:InstanceProfile": "name",
    "aws:iam/policy:Policy": "name",
    "aws:iam/role:Role": "name",
    "aws:s3/bucket:Bucket": "bucket",
}
"""Types whose ids are their names, and the property that holds it."""


@dataclass
class AwsMocks(ProviderMocks):
    """Answers as AWS would: ids and names that are like no other, so that a mistaken reference shows."""

    region: str = REGION
    made: list[str] = field(default_factory=list)
    invokes: list[MockCallArgs] = field(default_factory=list)
    extra: dict[str, Callable[[MockResourceArgs], dict[str, Any]]] = field(default_factory=dict)
    """Type → further outputs, for what only one test needs."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made.append(args.name)
        digest = hashlib.sha256(f"{args.typ} {args.name}".encode()).hexdigest()
        inputs = plain(dict(args.inputs))
        if not args.typ.startswith("aws:"):
            return f"{args.name}-{digest[:8]}", {**inputs, **self._embedded(args), **self._extra(args)}
        service = args.typ.split(":")[1].split("/")[0]
        known = NAMED.get(args.typ, "name")
        prefix = inputs.get(f"{known}Prefix") or f"{args.name}-"
        name = inputs.get(known) or f"{prefix}{digest[:12]}"
        if args.typ in IDS:
            identity = f"{IDS[args.typ]}-0{digest[:16]}"
        else:
            identity = name if args.typ in NAMED else f"{args.name}-{digest[:12]}"
        region, resource = self.region, f"{args.name}/{digest[:16]}"
        if args.typ == "aws:iam/role:Role":
            region, resource = "", f"role/{name}"
        outputs = {"arn": f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}", known: name}
        return identity, {
            **outputs,
            **inputs,
            **self._computed(args.typ, identity, digest),
            **self._extra(args),
        }

    def _computed(self, kind: str, identity: str, digest: str) -> dict[str, Any]:
        octets = [int(digest[at : at + 2], 16) for at in (0, 2)]
        known: dict[str, dict[str, Any]] = {
            "aws:ec2/eip:Eip": {"allocationId": identity, "publicIp": "198.51.100.{}".format(*octets)},
            "aws:ec2/instance:Instance": {
                "publicIp": "203.0.113.{}".format(*octets),
                "primaryNetworkInterfaceId": f"eni-0{digest[:16]}",
                "ami": "ami-0123456789abcdef0",
            },
            "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 7, "defaultVersion": 1},
            "aws:ec2/vpc:Vpc": {"mainRouteTableId": f"rtb-0d{digest[:15]}", "ownerId": ACCOUNT},
            "aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": f"pl-0{digest[:16]}"},
            "aws:iam/role:Role": {"uniqueId": f"AROA{digest[:17].upper()}"},
            "aws:s3/bucket:Bucket": {
                "bucketRegionalDomainName": f"{identity}.s3.{self.region}.amazonaws.com"
            },
        }
        return known.get(kind, {})

    def _embedded(self, args: MockResourceArgs) -> dict[str, Any]:
        return {
            "SshKey": {"private_key": f"private {args.name}", "public_key": f"ssh-ed25519 {args.name}"},
            "SigningKeyPair": {
                "private_key": f"private {args.name}",
                "public_key": f"public {args.name}",
            },
            "Secret": {"value": f"value of {args.name}"},
        }.get(args.typ.rpartition(":")[2], {})

    def _extra(self, args: MockResourceArgs) -> dict[str, Any]:
        return self.extra[args.typ](args) if args.typ in self.extra else {}

    def call(self, args: MockCallArgs) -> Any:
        self.invokes.append(args)
        digest = hashlib.sha256(json.dumps([args.token, args.args], sort_keys=True).encode()).hexdigest()
        if args.token == "aws:ssm/getParameter:getParameter":
            return {**args.args, "value": f"ami-0{digest[:16]}", "insecureValue": f"ami-0{digest[:16]}"}
        if args.token == "aws:kms/getKey:getKey":
            key = "1234abcd-12ab-34cd-56ef-1234567890ab"
            return {**args.args, "arn": f"arn:aws:kms:{self.region}:{ACCOUNT}:key/{key}"}
        if args.token == "aws:index/getCallerIdentity:getCallerIdentity":
            return {
                "accountId": ACCOUNT,
                "arn": f"arn:aws:iam::{ACCOUNT}:user/tester",
                "userId": "AIDATESTER",
            }
        raise AssertionError(f"{args.token} is asked of AWS: add what it answers to the recorder")


def record(build: Callable[[], None], mocks: AwsMocks | None = None, **config: str) -> Recording:
    """Run `build` as Pulumi runs a program, with that configuration; what fails in it, fails here."""
    return recorder.record(build, mocks or AwsMocks(), **config)


@dataclass
class AwsProgram(StackProgram):
    """The whole program with a stack's configuration, beside a region and two workers."""

    given: Given | None = None
    """What AWS would say about the network and the profiles that the configuration names."""

    def run(self, mocks: ProviderMocks | None = None, **options: Any) -> Recording:
        with ExitStack() as patches:
            # Nobody is asked for spot prices: the price table counts.
            patches.enter_context(patch("infra.aws.cost.now.asked", lambda _: {}))
            if given := self.given:
                patches.enter_context(patch("infra.aws.existing.look_up", lambda *_: given))
            return super().run(mocks, **options)

    def mocks(self) -> AwsMocks:
        return AwsMocks()

    def always(self) -> dict[str, str]:
        return {"provider": "aws", "region": REGION, "workers": "2"}


@pytest.fixture
def aws_program(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsProgram]:
    """The program, as `pulumi up --stack test` would run it for a stack on AWS."""
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.error", said.append)
    yield AwsProgram(said)


@pytest.fixture
def moto_server() -> Iterator[str]:
    """An empty AWS for other processes; its URL."""
    with account_on_http() as url:
        yield url


def bucket_on(server: str, bucket: str) -> S3Client:
    """A client of that server, where it has made an empty bucket."""
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=server,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client
