"""A recording engine for the Pulumi program, and a container engine that answers from files."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_root_resource, set_root_resource
from pulumi.runtime.stack import run_pulumi_func

ROOT = Path(__file__).resolve().parents[2]
STACK = "test"
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
class Recorder(Mocks):
    """Stands for Pulumi's engine: records what is registered and answers as the providers would."""

    registered: dict[str, MockResourceArgs] = field(default_factory=dict)
    secret: dict[str, list[str]] = field(default_factory=dict)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.registered[args.name] = args
        made = {
            f"{PREFIX}SshKey": {
                "private_key": f"private {args.name}",
                "public_key": f"ssh-ed25519 {args.name}",
            },
            f"{PREFIX}Secret": {"value": f"value of {args.name}"},
            f"{PREFIX}Node": {"flags": "no special flags needed here"},
        }.get(args.typ, {})
        return f"{args.name}-id", {**args.inputs, **made}

    def call(self, _args: MockCallArgs) -> Any:
        return {}

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Inputs of the resources of that type, by name."""
        return {name: args.inputs for name, args in self.registered.items() if args.typ == f"{PREFIX}{kind}"}


def _ignore(_: object) -> None:
    """What a program leaves is not awaited."""


class RecordingMonitor(MockMonitor):
    """Marks what the program declares secret, as the engine does, and keeps which that was."""

    def RegisterResource(self, request: Any) -> Any:
        if request.additionalSecretOutputs:
            self.mocks.secret[request.name] = list(request.additionalSecretOutputs)
        return super().RegisterResource(request)


@dataclass
class Program:
    """Runs the whole program as the language host does, against the recorder."""

    recorder: Recorder
    said: list[str]

    def run(self, **config: str) -> dict[str, Any]:
        """The stack's outputs; where the program ends early, its lines are in `said`."""
        # Pulumi keeps its root resource, bound to the loop that made it.
        set_root_resource(None)  # type: ignore[arg-type]
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        monitor = RecordingMonitor(self.recorder)
        pulumi.runtime.set_mocks(
            self.recorder, project="caffe-spark", stack=STACK, preview=False, monitor=monitor
        )
        set_all_config({f"caffe-spark:{key}": value for key, value in config.items()})
        main = str(ROOT / "infra" / "__main__.py")
        try:
            loop.run_until_complete(
                run_pulumi_func(lambda: _ignore(runpy.run_path(main, run_name="__main__")))
            )
            outputs: dict[str, Any] = getattr(get_root_resource(), "outputs")  # noqa: B009 - it may be None
            return loop.run_until_complete(_resolved(outputs))
        except SystemExit:
            return {}
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@dataclass(frozen=True)
class SecretValue:
    """An output that Pulumi would encrypt."""

    value: Any


async def _resolved(value: Any) -> Any:
    if isinstance(value, pulumi.Output):
        inner = await _resolved(await value.future())
        return SecretValue(inner) if await value.is_secret() else inner
    if isinstance(value, dict):
        return {key: await _resolved(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [await _resolved(entry) for entry in value]
    return value


@pytest.fixture
def program(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program on a machine with podman, nothing made yet, and no other network."""
    monkeypatch.setattr("infra.local.preflight.machine.routes", list)
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.error", said.append)
    return Program(Recorder(), said)
