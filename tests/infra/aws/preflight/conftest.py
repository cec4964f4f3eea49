"""An AWS account in this process (moto), what moto lacks of it, and tools on an otherwise empty PATH."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from rich.console import Console

from bootstrap.clouds import aws
from infra.aws.cost import prices
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.run import check
from infra.aws.settings import regions
from infra.aws.settings.config import AwsConfig
from infra.preflight import tables
from infra.preflight.finding import CloudCheck, Finding
from tests.cloud.aws_account import REGION, add_image
from tests.cloud.aws_account import answers as aws_answers
from tests.offline import no_credentials, offline

__all__ = ["REGION", "no_credentials", "offline"]

STACK = "test"
PLUGINS = '[{"name": "aws", "kind": "resource", "version": "%s"}]'


@dataclass
class Account:
    """An account in moto, and stand-ins for the rest of AWS: quotas, refusals."""

    region: str = REGION
    quotas: dict[str, float] = field(default_factory=dict)
    """By code. What is not here has AWS's default of `default_quota`."""
    default_quota: float = 64
    answers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = field(default_factory=dict)
    """Operation → answer, in the place of moto's; None is moto's."""
    asked: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """Calls that are none of the kinds that only look, and no dry runs."""
    simulated: list[dict[str, Any]] = field(default_factory=list)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Action → IAM's verdict in a simulation, where it is not `allowed`."""

    def client(self, service: str, region: str = REGION) -> Any:
        session: Any = boto3.session.Session()
        return session.client(service, region_name=region)

    def refuses(self, operation: str, code: str, message: str = "") -> None:
        def refuse(_: dict[str, Any]) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": code, "Message": message}}, operation)

        self.answers[operation] = refuse

    def denies(self, *operations: str) -> None:
        for operation in operations:
            self.refuses(operation, "UnauthorizedOperation", "You are not authorized.")

    def has_image(
        self,
        image: str,
        name: str,
        *,
        region: str = REGION,
        parameter: str = "",
        arch: str = "x86_64",
        root: str = "/dev/sda1",
    ) -> str:
        add_image(image, name, region=region, arch=arch, root=root)
        if parameter:
            from moto.ssm import models  # takes seconds

            # Its class, which moto's own types take for an abstract one.
            parameter_of: Any = models.Parameter

            versions = models.ssm_backends[DEFAULT_ACCOUNT_ID][region]._parameters[parameter]
            versions[:] = [
                parameter_of(
                    account_id=DEFAULT_ACCOUNT_ID,
                    name=parameter,
                    value=image,
                    parameter_type="String",
                    description=None,
                    allowed_pattern=None,
                    keyid=None,
                    last_modified_date=datetime.now(timezone.utc),
                    version=1,
                    data_type="text",
                )
            ]
        return image

    def has_newest_images(self, config: AwsConfig) -> None:
        names = {
            "ubuntu-22.04": "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260921",
            "ubuntu-24.04": "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260918",
            "debian-12": "debian-12-amd64-20260901-2222",
        }
        plain = names[config.distribution]
        system = config.distribution.replace("ubuntu-", "Ubuntu ")
        gpu = f"Deep Learning Base OSS Nvidia Driver GPU AMI ({system}) 20260912"
        root = "/dev/xvda" if config.distribution == "debian-12" else "/dev/sda1"
        self.has_image("ami-0aaaaaaaaaaaaaaaa", plain, parameter=config.ami_parameter("head"), root=root)
        if config.gpus:
            self.has_image("ami-0bbbbbbbbbbbbbbbb", gpu, parameter=config.ami_parameter("worker"))

    def _quota(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["QuotaCode"] not in self.quotas:
            raise ClientError(
                {"Error": {"Code": "NoSuchResourceException", "Message": "not found"}}, "GetServiceQuota"
            )
        return {"Quota": {"Value": self.quotas[asked["QuotaCode"]]}}

    def _simulate(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.simulated.append(asked)
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": asked["ResourceArns"][0],
                "EvalDecision": "allowed",
                **self.verdicts.get(action, {}),
            }
            for action in asked["ActionNames"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    def _dry_run(self, asked: dict[str, Any]) -> None:
        if asked.get("DryRun"):
            raise ClientError({"Error": {"Code": "DryRunOperation", "Message": "It would have."}}, "any")

    def _default_quota(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"Quota": {"Value": self.default_quota}}


@pytest.fixture
def account(no_credentials: None, aws_account: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account with nothing in it but AWS's own things, and credentials for it."""
    made = Account()
    made.answers["GetServiceQuota"] = made._quota
    made.answers["GetAWSDefaultServiceQuota"] = made._default_quota
    # What moto lacks.
    made.answers["SimulatePrincipalPolicy"] = made._simulate
    made.answers["GetEbsDefaultKmsKeyId"] = lambda _: {"KmsKeyId": "alias/aws/ebs"}
    made.answers["CreateVpc"] = made._dry_run

    def answer(_: str, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        made.asked.append(operation)
        if not operation.startswith(("Describe", "Get", "List", "Simulate")) and not asked.get("DryRun"):
            made.changes.append(operation)
        return made.answers[operation](asked) if operation in made.answers else None

    aws_answers(monkeypatch, answer)
    return made


def answers(checks: Iterable[CloudCheck[Cloud]], cloud: Cloud) -> dict[str, Finding]:
    """The findings of the checks, by name."""
    return {finding.name: finding for one in checks for finding in one.ask(cloud)}


CALLER = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/ops"


@pytest.fixture
def cloud(account: Account) -> Cloud:
    """The account, as the checks see it for its user `ops`."""
    return Cloud.of(aws.session(), account.region, CALLER)


def config(**values: Any) -> AwsConfig:
    """A stack's configuration; only the region has to be said."""
    return AwsConfig.model_validate({"region": REGION, **values})


@dataclass
class Tools:
    """Programs on an otherwise empty PATH."""

    folder: Path

    def has(self, name: str, says: str, *, status: int = 0) -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n/bin/cat <<'SAID'\n{says}\nSAID\nexit {status}\n")
        file.chmod(0o755)

    def has_all(self, plugins: str | None = None) -> None:
        from importlib.metadata import version

        listed = PLUGINS % version("pulumi-aws") if plugins is None else plugins
        self.has("pulumi", "v3.272.0")
        script = self.folder / "pulumi"
        script.write_text(
            f"#!/bin/sh\nif [ \"$1\" = plugin ]; then echo '{listed}'; else echo v3.272.0; fi\n"
        )
        self.has("aws", "aws-cli/2.31.4 Python/3.13.7 Linux/6.1 exe/x86_64.debian.12")
        self.has("session-manager-plugin", "1.2.707.0")

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": str(self.folder)}


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Tools(folder)


@dataclass
class Preflight:
    """Runs everything, and keeps what it found and printed."""

    tools: Tools
    findings: list[Finding] = field(default_factory=list)
    printed: str = ""

    def run(self, stack: AwsConfig) -> dict[str, Finding]:
        console = Console(file=io.StringIO(), width=120)
        self.findings = check(stack, STACK, console=console, env=self.tools.env)
        assert isinstance(console.file, io.StringIO)
        self.printed = console.file.getvalue()
        return {finding.name: finding for finding in self.findings}


@pytest.fixture
def preflight(tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preflight:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    # The tables are of these days, whenever a test runs.
    dates = [regions.table().date, *(one.date for one in prices.load().regions.values() if one.date)]
    monkeypatch.setattr(tables, "today", lambda: max(dates))
    return Preflight(tools)
