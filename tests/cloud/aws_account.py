"""An AWS account in this process (moto): empty, quick to make, with a place for answers instead of moto's."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.client import BaseClient, ClientCreator
from botocore.loaders import JSONFileLoader
from botocore.model import ServiceModel
from botocore.session import Session
from moto import mock_aws
from moto.core import responses
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import method_names_from_class

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

REGION: Final = "eu-west-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

Answer = Callable[[str, str, dict[str, Any]], dict[str, Any] | None]
"""Region, operation, parameters → what AWS answers; None for what moto does."""

# The stubs of botocore leave out what is not for callers.
_LOADER: Any = JSONFileLoader
_CREATOR: Any = ClientCreator
_CLIENT: Any = BaseClient
_READ_ONCE = functools.cache(_LOADER()._load_file)
_METHODS = functools.cache(method_names_from_class)
_CREATE_CLASS: Callable[..., type[BaseClient]] = _CREATOR._create_client_class
_CLASSES: dict[str, type[BaseClient]] = {}
_CREATE_CLIENT: Callable[..., Any] = Session.create_client
_CLIENTS: dict[str, Any] = {}
_PROCESS = BotocoreStubber.process_request
_ONE_AT_A_TIME = threading.RLock()


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the descriptions of AWS's interfaces, and make a client's class of each, once for all sessions."""

    def create_class(self: ClientCreator, service: str, model: ServiceModel) -> type[BaseClient]:
        if service not in _CLASSES:
            _CLASSES[service] = _CREATE_CLASS(self, service, model)
        return _CLASSES[service]

    monkeypatch.setattr(JSONFileLoader, "_load_file", lambda _, *arguments: _READ_ONCE(*arguments))
    monkeypatch.setattr(ClientCreator, "_create_client_class", create_class)


@pytest.fixture
def aws_account(read_once: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with nothing in it, and credentials for it.

    A client, which keeps no state of the account, is made once for each way of making it.
    """

    def create_client(self: Session, service: str, *arguments: Any, **named: Any) -> Any:
        if any(os.environ.get(name) != value for name, value in KEYS.items()):
            return _CREATE_CLIENT(self, service, *arguments, **named)
        config = named.pop("config", None)
        options = vars(config) if config else {}
        key = f"{service} {arguments} {sorted(named.items(), key=str)} {options}"
        if key not in _CLIENTS:
            _CLIENTS[key] = _CREATE_CLIENT(self, service, *arguments, config=config, **named)
        return _CLIENTS[key]

    monkeypatch.setattr(Session, "create_client", create_client)
    monkeypatch.setattr(responses, "method_names_from_class", _METHODS)

    def process(self: BotocoreStubber, request: Any) -> Any:
        # A request takes effect as a whole at AWS; two threads in moto can dispose of each other's objects.
        with _ONE_AT_A_TIME:
            return _PROCESS(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", process)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    # Five thousand of them for each region take moto a second each time.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        os.environ.update(KEYS)  # moto sets its own, and restores these when it ends
        yield


def answers(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    """Ask `answer` first, whatever is asked of AWS; it may raise what AWS would refuse with."""
    call: Callable[..., dict[str, Any]] = _CLIENT._make_api_call

    def answered(self: BaseClient, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        given = answer(self.meta.region_name, operation, asked)
        return call(self, operation, asked) if given is None else given

    monkeypatch.setattr(BaseClient, "_make_api_call", answered)


def add_image(
    image: str,
    name: str = "any",
    *,
    region: str = REGION,
    arch: str = "x86_64",
    root: str = "/dev/sda1",
) -> str:
    """A public machine image."""
    from moto.ec2.models import amis, ec2_backends

    backend = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    backend.amis[image] = amis.Ami(
        backend,
        image,
        name=name,
        public=True,
        architecture=arch,
        root_device_name=root,
        region_name=f"{region}a",
    )
    return image


def add_group(client: AutoScalingClient, name: str, tags: Mapping[str, str] | None = None) -> None:
    """An Auto Scaling group without machines."""
    region = client.meta.region_name
    image = add_image("ami-0cccccccccccccccc", region=region)
    client.create_launch_configuration(LaunchConfigurationName="any", ImageId=image, InstanceType="t3.micro")
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName="any",
        MinSize=0,
        MaxSize=1,
        AvailabilityZones=[f"{region}a"],
        Tags=[
            {
                "ResourceId": name,
                "ResourceType": "auto-scaling-group",
                "Key": key,
                "Value": value,
                "PropagateAtLaunch": True,
            }
            for key, value in (tags or {}).items()
        ],
    )
