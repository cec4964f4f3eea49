"""The program for a stack on this machine, and a container engine that answers from files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs

from tests.host_keys import host_key
from tests.infra.recorder import ProviderMocks, StackProgram

PREFIX = "pulumi-python:dynamic/embedded:"

FAKE_PODMAN = """#!/bin/sh
cd {folder}
echo "$*" >> calls
case "$*" in
    *"network ls"*) cat networks.json ;;
    "ps "*) cat containers ;;
    "info "*) cat storage ;;
    --version*) echo "podman version 4.3.1" ;;
    "container inspect"*) cat container.json 2>/dev/null || {{ echo "no such container" >&2; exit 125; }} ;;
    "image inspect"*) [ -e image ] || {{ echo "no such image" >&2; exit 125; }} ;;
    "create "*) echo 0123456789ab ;;
    *) [ ! -e refusal ] || {{ cat refusal >&2; exit 125; }} ;;
esac
"""


@dataclass
class FakeEngine:
    """A podman on PATH: what it knows lies in files, what it was asked is kept."""

    folder: Path

    def knows_networks(self, *networks: dict[str, Any]) -> None:
        (self.folder / "networks.json").write_text(json.dumps(networks))

    def knows_containers(self, *names: str) -> None:
        (self.folder / "containers").write_text("\n".join(names))

    def knows_container(self, labels: dict[str, str], *, running: bool = True) -> None:
        document = [
            {"Id": "fedcba", "Name": "it", "State": {"Running": running}, "Config": {"Labels": labels}}
        ]
        (self.folder / "container.json").write_text(json.dumps(document))

    def has_image(self) -> None:
        (self.folder / "image").touch()

    def refuses(self, text: str) -> None:
        (self.folder / "refusal").write_text(text)

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Podman, and nothing else of the kind, on PATH; caches in an empty folder; we are root."""
    folder = tmp_path / "engine"
    folder.mkdir()
    script = folder / "podman"
    script.write_text(FAKE_PODMAN.format(folder=folder))
    script.chmod(0o755)
    (folder / "storage").write_text(str(tmp_path))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name, **_: str(script) if name == "podman" else None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    fake = FakeEngine(folder)
    fake.knows_networks()
    fake.knows_containers()
    return fake


@dataclass
class LocalMocks(ProviderMocks):
    """Answers as our own providers would."""

    made: list[str] = field(default_factory=list)
    invokes: list[MockCallArgs] = field(default_factory=list)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.made.append(args.name)
        made = {
            f"{PREFIX}SshKey": {
                "private_key": f"private {args.name}",
                "public_key": host_key(args.name.partition("-")[0]),
            },
            f"{PREFIX}SigningKeyPair": {
                "private_key": f"private {args.name}",
                "public_key": f"public {args.name}",
            },
            f"{PREFIX}Secret": {"value": f"value of {args.name}"},
            f"{PREFIX}Firewall": {"state": "new connections come from the nodes"},
            f"{PREFIX}Node": {"flags": "no special flags needed here"},
        }.get(args.typ, {})
        return f"{args.name}-id", {**args.inputs, **made}

    def call(self, args: MockCallArgs) -> Any:
        raise AssertionError(f"{args.token}: nothing is looked up for a stack on this machine")


@dataclass
class LocalProgram(StackProgram):
    """The whole program with a stack's configuration."""

    def mocks(self) -> LocalMocks:
        return LocalMocks()

    def always(self) -> dict[str, str]:
        return {}


@pytest.fixture
def program(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> LocalProgram:
    """The program on a machine with podman, nothing made yet, and no other network."""
    monkeypatch.setattr("infra.local.preflight.machine.routes", list)
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.error", said.append)
    return LocalProgram(said)
