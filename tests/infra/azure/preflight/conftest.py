"""A preflight against a subscription on loopback: what it finds by name, and what it prints."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.azure.cost import prices
from infra.azure.preflight.run import check
from infra.azure.settings import sizes
from infra.azure.settings.config import AzureConfig
from infra.preflight import tables
from infra.preflight.finding import Finding
from tests.infra.azure.account import account
from tests.offline import no_login

__all__ = ["account", "no_login"]

STACK = "demo"


def config(**values: Any) -> AzureConfig:
    """A stack's configuration; only the region and an operator have to be said."""
    given = {"region": "westeurope", "workers": 3, "adminCidrs": ["198.18.0.7/32"], **values}
    return AzureConfig.model_validate(given)


@dataclass
class Preflight:
    """Runs everything, and keeps what it found and printed."""

    folder: Path
    findings: list[Finding] = field(default_factory=list)
    printed: str = ""

    def has(self, name: str, says: str, *, status: int = 0) -> None:
        """A program on the PATH, which is empty otherwise."""
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n/bin/cat <<'SAID'\n{says}\nSAID\nexit {status}\n")
        file.chmod(0o755)

    def has_all(self) -> None:
        plugin = (
            f'[{{"name": "azure-native", "kind": "resource", "version": "{version("pulumi-azure-native")}"}}]'
        )
        self.has("pulumi", "v3.272.0")
        (self.folder / "pulumi").write_text(
            f"#!/bin/sh\nif [ \"$1\" = plugin ]; then echo '{plugin}'; else echo v3.272.0; fi\n"
        )
        self.has("ssh", "")
        # Nobody is logged in by it.
        (self.folder / "az").write_text('#!/bin/sh\n[ "$1" = version ] && echo 2.80.0\n')
        (self.folder / "az").chmod(0o755)

    def run(self, stack: AzureConfig, **env: str) -> dict[str, Finding]:
        console = Console(file=io.StringIO(), width=120)
        self.findings = check(stack, STACK, console=console, env={"PATH": str(self.folder), **env})
        assert isinstance(console.file, io.StringIO)
        self.printed = console.file.getvalue()
        return {finding.name: finding for finding in self.findings}

    @property
    def failed(self) -> list[str]:
        """Names of what fails."""
        return [finding.name for finding in self.findings if finding.failed]


@pytest.fixture
def preflight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preflight:
    # The tables are of these days, whenever a test runs.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    dates = [
        sizes.table().checked,
        *(region.date for region in prices.load().regions.values() if region.date),
    ]
    monkeypatch.setattr(tables, "today", lambda: max(dates))
    folder = tmp_path / "bin"
    folder.mkdir()
    return Preflight(folder)
