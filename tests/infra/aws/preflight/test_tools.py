"""Tools on this machine's PATH."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from infra.aws.preflight.tools import checks
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import PLUGINS, STACK, Tools, config

WANTED = metadata.version("pulumi-aws")


def asked(tools: Tools, **values: Any) -> dict[str, Finding]:
    found = [finding for one in checks(config(**values), STACK, tools.env) for finding in one.ask()]
    return {finding.name: finding for finding in found}


def test_everything_that_is_there_says_its_version(tools: Tools) -> None:
    tools.has_all()
    assert {name: (one.verdict, one.detail) for name, one in asked(tools).items()} == {
        "Pulumi": ("passed", "v3.272.0"),
        "Pulumi's aws plugin": ("passed", WANTED),
        "AWS CLI": ("passed", "2.31.4"),
        "session-manager-plugin": ("passed", "1.2.707"),
    }


def test_nothing_on_path_is_a_line_for_each_tool(tools: Tools) -> None:
    found = asked(tools)
    assert [name for name, one in found.items() if one.failed] == [
        "Pulumi",
        "AWS CLI",
        "session-manager-plugin",
    ]
    assert found["Pulumi"].fix == "Run `make setup`, then `. ./activate`."
    assert found["Pulumi's aws plugin"].verdict == "skipped"
    assert found["AWS CLI"].detail == "`aws` is not on PATH"
    assert "getting-started-install.html" in found["AWS CLI"].fix
    assert "adminCidrs[0]" in found["session-manager-plugin"].fix


def test_where_the_heads_port_is_open_ssh_takes_no_tools_of_awss(tools: Tools) -> None:
    tools.has_all()
    assert list(asked(tools, adminCidrs=["203.0.113.7/32"])) == ["Pulumi", "Pulumi's aws plugin"]


@pytest.mark.parametrize(
    "says",
    [
        "aws-cli/1.16.12 Python/3.6.0 Linux/4.9 botocore/1.12.2",
        "aws-cli/1.22.34 Python/3.10.6 Linux/5.15 botocore/1.23.34",
        "aws-cli/1.99.99 Python/3.13.1 Linux/6.1 botocore/1.42.0",
    ],
)
def test_version_1_of_the_aws_cli_is_refused_and_named(says: str, tools: Tools) -> None:
    tools.has_all()
    tools.has("aws", says)
    found = asked(tools)["AWS CLI"]
    assert found.failed
    assert (
        found.detail
        == f"{says.split(maxsplit=1)[0].removeprefix('aws-cli/')}: the stack's commands require version 2"
    )
    assert "getting-started-install.html" in found.fix


@pytest.mark.parametrize(
    "says",
    [
        "aws-cli/2.0.0 Python/3.7.3 Linux/4.9 botocore/2.0.0dev4",
        "aws-cli/2.9.19 Python/3.11.2 Linux/6.1.0 source/x86_64.debian.12",
    ],
)
def test_version_2_of_the_aws_cli_is_taken(says: str, tools: Tools) -> None:
    tools.has_all()
    tools.has("aws", says)
    assert asked(tools)["AWS CLI"].verdict == "passed"


def test_a_session_manager_plugin_from_before_ssh_is_refused(tools: Tools) -> None:
    tools.has_all()
    tools.has("session-manager-plugin", "1.1.17.0")
    assert asked(tools)["session-manager-plugin"].detail == "1.1.17: SSH requires 1.1.23 or later"


@pytest.mark.parametrize(("listed", "others"), [("[]", ""), (PLUGINS % "6.0.0", " (installed: 6.0.0)")])
def test_a_plugin_that_up_would_fetch_is_worth_a_note(listed: str, others: str, tools: Tools) -> None:
    tools.has_all(listed)
    found = asked(tools)["Pulumi's aws plugin"]
    assert found.verdict == "note"
    assert found.detail.startswith(f"{WANTED} is not installed{others}; `pulumi up` installs it")
    assert f"pulumi plugin install resource aws v{WANTED}" in found.fix


def test_a_tool_that_fails_is_quoted(tools: Tools) -> None:
    tools.has_all()
    tools.has("aws", "Traceback (most recent call last):\nModuleNotFoundError: no awscli", status=1)
    assert asked(tools)["AWS CLI"].detail == "`aws --version` fails: ModuleNotFoundError: no awscli"


def test_a_tool_that_hangs_is_given_up(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.preflight.ask.TIMEOUT", 0.2)
    tools.has_all()
    (tools.folder / "aws").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    assert asked(tools)["AWS CLI"].detail == "`aws --version`: no answer within 0 s"


def test_without_pulumis_package_for_aws_the_fix_is_to_install_it(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", gone)
    tools.has_all(PLUGINS % "7.0.0")
    assert asked(tools)["Pulumi's aws plugin"].fix == "Run `make setup`."


def test_in_a_given_network_operators_come_through_a_vpn(tools: Tools) -> None:
    subnets = {"head": "subnet-0aaaaaaaaaaaaaaaa", "workers": ["subnet-0bbbbbbbbbbbbbbbb"]}
    found = asked(tools, vpc="vpc-0123456789abcdef0", subnets=subnets)
    fix = found["session-manager-plugin"].fix
    assert "or allow SSH from your VPN: `pulumi config set --path 'adminCidrs[0]' 10.8.0.0/16" in fix
