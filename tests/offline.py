"""Fixtures that refuse network access; a conftest or a test module imports `offline`."""

from __future__ import annotations

import socket
from typing import Any

import pytest


class ReachedOut(BaseException):
    """Network access by a test; a BaseException, so that code under test does not handle it as a failure."""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse name lookups and all connections except Unix sockets."""

    def refuse(*arguments: Any, **_: Any) -> Any:
        raise ReachedOut(f"a test reached for the network: {arguments}")

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            if self.family != socket.AF_UNIX:
                refuse(address)
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Socket)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An environment without AWS credentials."""
    nowhere = tmp_path_factory.mktemp("nobody")
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ENDPOINT_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(nowhere))


@pytest.fixture
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """An environment without Azure credentials or a metadata service."""
    names = ("CLIENT_ID", "TENANT_ID", "CLIENT_SECRET", "CLIENT_CERTIFICATE_PATH", "USERNAME", "PASSWORD")
    for name in (*names, "FEDERATED_TOKEN_FILE", "AUTHORITY_HOST", "CONFIG_DIR"):
        monkeypatch.delenv(f"AZURE_{name}", raising=False)
    monkeypatch.delenv("CAFFE_SPARK_ARM_ENDPOINT", raising=False)
    monkeypatch.delenv("ARM_SUBSCRIPTION_ID", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
