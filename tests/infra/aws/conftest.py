"""A recording engine for stacks on AWS: what is registered, with which options, and outputs of AWS's shape.

It proves what the program asks for. That AWS would take it is the cross-check's to show (docs/aws.md).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pulumi
import pytest
from moto.server import ThreadedMotoServer
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key, deserialize_properties
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).resolve().parents[3]
STACK = "test"
REGION = "eu-west-1"
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
    "aws:iam/instanceProfile:InstanceProfile": "name",
    "aws:iam/policy:Policy": "name",
    "aws:iam/role:Role": "name",
    "aws:s3/bucket:Bucket": "bucket",
}
"""Types whose ids are their names, and the property that holds it."""


@dataclass(frozen=True)
class Registration:
    """A resource as it was asked for."""

    type: str
    name: str
    urn: str
    inputs: Mapping[str, Any]
    """As Pulumi sends them: camelCase, numbers as floats, secrets as what they hold."""
    secrets: frozenset[str]
    """Inputs that hold a secret."""
    id: str
    outputs: Mapping[str, Any]
    parent: str
    provider: str
    """URN and id of the provider; empty where none was given."""
    depends_on: frozenset[str]
    """URNs."""
    options: Mapping[str, Any]


@dataclass
class Recording:
    """Everything that a program registered, by URN, so that the order of events does not show."""

    resources: list[Registration]
    invokes: list[MockCallArgs]
    outputs: dict[str, Any]
    """The stack's, with secrets as what they hold."""
    secret_outputs: frozenset[str]
    components: dict[str, dict[str, Any]]
    """What each component gave to `register_outputs`, by URN."""

    def of(self, kind: str) -> dict[str, Registration]:
        """Those of a type, by name."""
        return {one.name: one for one in self.resources if one.type == kind}

    def the(self, kind: str) -> Registration:
        """The only one of its type."""
        (one,) = self.of(kind).values()
        return one

    def named(self, name: str) -> Registration:
        """The only one of that name."""
        (one,) = [one for one in self.resources if one.name == name]
        return one

    @property
    def aws(self) -> list[Registration]:
        """What AWS would make."""
        return [one for one in self.resources if one.type.startswith("aws:")]


@dataclass
class AwsMocks(Mocks):
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
        outputs = {"arn": f"arn:aws:{service}:{self.region}:{ACCOUNT}:{args.name}/{digest[:16]}", known: name}
        return identity, {
            **outputs,
            **inputs,
            **self._computed(args.typ, identity, digest),
            **self._extra(args),
        }

    def _computed(self, kind: str, identity: str, digest: str) -> dict[str, Any]:
        octets = [int(digest[at : at + 2], 16) for at in (0, 2)]
        return {
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
        }.get(kind, {})

    def _embedded(self, args: MockResourceArgs) -> dict[str, Any]:
        return {
            "SshKey": {"private_key": f"private {args.name}", "public_key": f"ssh-ed25519 {args.name}"},
            "Secret": {"value": f"value of {args.name}"},
        }.get(args.typ.rpartition(":")[2], {})

    def _extra(self, args: MockResourceArgs) -> dict[str, Any]:
        return self.extra.get(args.typ, lambda _: {})(args)

    def call(self, args: MockCallArgs) -> dict[str, Any]:
        self.invokes.append(args)
        digest = hashlib.sha256(json.dumps([args.token, args.args], sort_keys=True).encode()).hexdigest()
        if args.token == "aws:ssm/getParameter:getParameter":
            return {**args.args, "value": f"ami-0{digest[:16]}", "insecureValue": f"ami-0{digest[:16]}"}
        if args.token == "aws:index/getCallerIdentity:getCallerIdentity":
            return {
                "accountId": ACCOUNT,
                "arn": f"arn:aws:iam::{ACCOUNT}:user/tester",
                "userId": "AIDATESTER",
            }
        raise AssertionError(f"{args.token} is asked of AWS: add what it answers to the recorder")


def plain(value: Any) -> Any:
    """The same with secrets as what they hold."""
    if isinstance(value, dict):
        return plain(value["value"]) if is_secret(value) else {k: plain(entry) for k, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_special_sig_key) == _special_secret_sig


def holds_secret(value: Any) -> bool:
    if is_secret(value):
        return True
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(map(holds_secret, entries))


class AwsMonitor(MockMonitor):
    """Keeps what Pulumi's own mocks throw away: parents, providers, dependencies, options, secrets."""

    def __init__(self, mocks: AwsMocks) -> None:
        super().__init__(mocks)
        self.registrations: list[Registration] = []
        self.registered_outputs: dict[str, dict[str, Any]] = {}

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return response
        # As the engine does: what is declared secret comes back secret.
        for key in request.additionalSecretOutputs:
            if key in response.object.fields:
                value = response.object[key]
                response.object[key] = {_special_sig_key: _special_secret_sig, "value": value}
        inputs = deserialize_properties(request.object)
        made = self.resources[response.urn]
        self.registrations.append(
            Registration(
                type=request.type,
                name=request.name,
                urn=response.urn,
                inputs=plain(inputs),
                secrets=frozenset(key for key, value in inputs.items() if holds_secret(value)),
                id=made.id,
                outputs=plain(made.state),
                parent=request.parent,
                provider=request.provider or next(iter(request.providers.values()), ""),
                depends_on=frozenset(request.dependencies),
                options={
                    "protect": request.protect,
                    "retain_on_delete": request.retainOnDelete,
                    "delete_before_replace": request.deleteBeforeReplace,
                    "ignore_changes": tuple(request.ignoreChanges),
                    "replace_on_changes": tuple(request.replaceOnChanges),
                    "secret_outputs": tuple(request.additionalSecretOutputs),
                    "deleted_with": request.deletedWith,
                },
            )
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.registered_outputs[request.urn] = deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)


def record(build: Callable[[], None], mocks: AwsMocks | None = None, **config: str) -> Recording:
    """Run `build` as Pulumi runs a program, with that configuration; what fails in it, fails here."""
    mocks = mocks or AwsMocks()
    monitor = AwsMonitor(mocks)
    # Pulumi keeps its root resource, bound to the loop that made it.
    set_root_resource(None)  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(mocks, project="caffe-spark", stack=STACK, preview=False, monitor=monitor)
    set_root_resource(None)  # type: ignore[arg-type]
    set_all_config({f"caffe-spark:{key}": value for key, value in config.items()})
    try:
        loop.run_until_complete(run_in_stack(build))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    found = dict(monitor.registered_outputs)
    # A component's URN has its parents' types before its own.
    (stack,) = [urn for urn in found if urn.split("::")[2] == "pulumi:pulumi:Stack"]
    outputs = found.pop(stack)
    return Recording(
        resources=sorted(monitor.registrations, key=lambda one: one.urn),
        invokes=mocks.invokes,
        outputs=plain(outputs),
        secret_outputs=frozenset(key for key, value in outputs.items() if holds_secret(value)),
        components={urn: plain(values) for urn, values in found.items()},
    )


@dataclass
class AwsProgram:
    """The whole program with a stack's configuration."""

    said: list[str]
    """Its lines where it ended early."""

    def run(self, mocks: AwsMocks | None = None, **config: str) -> Recording:
        """What it registers with this configuration, beside a region and two workers."""
        main = str(ROOT / "infra" / "__main__.py")
        config = {"provider": "aws", "region": REGION, "workers": "2", **config}
        try:
            return record(lambda: _run(main), mocks, **config)
        except SystemExit as error:
            raise AssertionError(self.said) from error

    def refused(self, **config: str) -> str:
        """The line with which it refuses, before it has registered anything."""
        mocks = AwsMocks()
        with pytest.raises(AssertionError):
            self.run(mocks, **config)
        (line,) = self.said
        assert mocks.made == []
        return line


def _run(path: str) -> None:
    runpy.run_path(path, run_name="__main__")


@pytest.fixture
def aws_program(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsProgram]:
    """The program, as `pulumi up --stack test` would run it for a stack on AWS."""
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.error", said.append)
    yield AwsProgram(said)


@pytest.fixture
def moto_server() -> Iterator[str]:
    """An empty AWS for other processes; its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    # All servers of a process share what was made on any of them.
    urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
    yield url
    server.stop()
