"""Fixture: a subscription of Azure's on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.clouds import azure
from infra.azure.cost import prices
from tests.cloud.arm import arm_server
from tests.cloud.azure_account import Account


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    """A subscription with nothing in it, where everything is allowed; every client goes there."""
    made = Account()
    with arm_server() as server:
        made.url, server.others = server.url, made
        monkeypatch.setenv(azure.ENDPOINT, server.url)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.delenv(prices.VARIABLE, raising=False)
        monkeypatch.delenv("ARM_SUBSCRIPTION_ID", raising=False)
        # the clients' own pauses between tries, for programs that have all day
        for name in ("RETRY", "FAIL_FAST"):
            monkeypatch.setattr(azure, name, {**getattr(azure, name), "retry_backoff_factor": 0.01})
        yield made
