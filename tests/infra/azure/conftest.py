"""A recording engine for stacks on Azure: ids of Azure's shape, and no Azure.

It proves what the program asks for. That Azure's interface would take it is the schema's to show
(docs/azure.md); that HDInsight then does, only Azure's.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pulumi.runtime import MockCallArgs, MockResourceArgs

from tests.infra import recorder
from tests.infra.recorder import STACK, ProviderMocks, Recording, Registration, StackProgram, plain

__all__ = [
    "ADMIN",
    "REGION",
    "STACK",
    "AzureMocks",
    "AzureProgram",
    "Recording",
    "Registration",
    "record",
    "storage_file",
]

REGION = "westeurope"
ADMIN = '["198.18.0.7/32"]'
"""Of a range that is for tests (RFC 2544): the program refuses those that are for documents."""
SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
GROUP = "azure-native:resources:ResourceGroup"
KEY = "a2V5"
_GENERATE_ONCE = functools.cache(rsa.generate_private_key)


@dataclass
class AzureMocks(ProviderMocks):
    """Answers as Azure would: ids and names that are like no other, so that a mistaken reference shows."""

    made: list[str] = field(default_factory=list)
    invokes: list[MockCallArgs] = field(default_factory=list)
    stacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Outputs of other stacks, by their full names."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made.append(args.name)
        inputs = plain(dict(args.inputs))
        digest = hashlib.sha256(f"{args.typ} {args.name}".encode()).hexdigest()
        if args.typ == "pulumi:pulumi:StackReference":
            name = inputs["name"]
            return name, {"name": name, "outputs": self.stacks.get(name, {}), "secretOutputNames": []}
        if not args.typ.startswith("azure-native:"):
            return f"{args.name}-{digest[:8]}", {**inputs, **_embedded(args)}
        kind = args.typ.removeprefix("azure-native:")
        name = next((inputs[key] for key in _names(kind) if key in inputs), f"{args.name}{digest[:8]}")
        return _id(kind, name, inputs), {**inputs, "name": name, **_computed(kind, digest)}

    def call(self, args: MockCallArgs) -> Any:
        self.invokes.append(args)
        assert all(value is not None for value in args.args.values()), args
        if args.token == "azure-native:storage:listStorageAccountKeys":
            key = f"{KEY}-{args.args['accountName']}"
            return {"keys": [{"keyName": "key1", "value": key}, {"keyName": "key2", "value": "other"}]}
        if args.token == "azure-native:managedidentity:getUserAssignedIdentity":
            return {"principalId": f"principal of {args.args['resourceName']}"}
        if args.token == "azure-native:operationalinsights:getSharedKeys":
            return {"primarySharedKey": f"key of {args.args['workspaceName']}"}
        raise AssertionError(f"{args.token} is asked of Azure: add what it answers to the recorder")


def _names(kind: str) -> list[str]:
    own = {
        "hdinsight:Cluster": "clusterName",
        "privatedns:PrivateZone": "privateZoneName",
        "resources:ResourceGroup": "resourceGroupName",
        "storage:Blob": "blobName",
        "storage:BlobContainer": "containerName",
        "storage:StorageAccount": "accountName",
    }
    return [own[kind]] if kind in own else []


def _id(kind: str, name: str, inputs: Mapping[str, Any]) -> str:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{inputs.get('resourceGroupName', 'none')}"
    if kind == "resources:ResourceGroup":
        return group
    module, _, thing = kind.partition(":")
    if "accountName" in inputs and thing != "StorageAccount":
        name = f"{inputs['accountName']}/{name}"
    if "virtualNetworkName" in inputs:
        name = f"{inputs['virtualNetworkName']}/{name}"
    return f"{group}/providers/Microsoft.{module.capitalize()}/{thing}/{name}"


def _computed(kind: str, digest: str) -> dict[str, Any]:
    return {
        "managedidentity:UserAssignedIdentity": {"principalId": f"principal-{digest[:8]}"},
        "operationalinsights:Workspace": {"customerId": f"workspace-{digest[:8]}"},
        "network:PublicIPAddress": {"ipAddress": f"198.51.100.{int(digest[:2], 16)}"},
    }.get(kind, {})


def _embedded(args: MockResourceArgs) -> dict[str, Any]:
    kind = args.inputs.get("kind", "ed25519")
    return {
        "SshKey": {"private_key": f"private {args.name}", "public_key": f"ssh-{kind} {args.name}"},
        "SigningKeyPair": {
            "private_key": f"private {args.name}",
            "public_key": f"public {args.name}",
        },
        "Secret": {"value": f"value of {args.name}"},
        "GatewayPassword": {"value": f"password of {args.name}"},
    }.get(args.typ.rpartition(":")[2], {})


def storage_file(project: Path, stack: str, *lines: str) -> Path:
    """A project with the file of a stack that others may use the storage of, as far as `lines` say so."""
    (project / "Pulumi.yaml").write_text("name: caffe-spark\n")
    file = project / f"Pulumi.{stack}.yaml"
    given = ["provider: azure", f"region: {REGION}", f"adminCidrs: {ADMIN}", *lines]
    settings = dict(line.split(": ", 1) for line in given)
    text = "".join(f"  caffe-spark:{key}: {value}\n" for key, value in settings.items())
    file.write_text(f"config:\n{text}")
    return file


def record(build: Callable[[], None], **config: str) -> Recording:
    """Run `build` as Pulumi runs a program; what fails in it, fails here."""
    return recorder.record(build, AzureMocks(), **config)


@dataclass
class AzureProgram(StackProgram):
    """The whole program with a stack's configuration, beside where it is, three workers and an operator."""

    def mocks(self) -> AzureMocks:
        return AzureMocks()

    def always(self) -> dict[str, str]:
        return {
            "provider": "azure",
            "subscription": SUBSCRIPTION,
            "region": REGION,
            "workers": "3",
            "adminCidrs": ADMIN,
        }


@pytest.fixture(autouse=True)
def rsa_keys_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generate one RSA key for all tests: each takes a third of a second, and none here is about another."""
    monkeypatch.setattr(rsa, "generate_private_key", _GENERATE_ONCE)


@pytest.fixture
def azure_program(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureProgram]:
    """The program, as `pulumi up --stack test` would run it for a stack on Azure."""
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.error", said.append)
    monkeypatch.setattr("pulumi.log.warn", lambda _: None)
    yield AzureProgram(said)
