"""A blob server (Azurite) for unit tests, as a plugin of pytest: one for all modules of a process."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import pytest

from tools import azurite as azurite_tool
from tools.environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from azure.storage.blob import ContainerClient

ACCOUNT = "caffesparktests"
ACCOUNT_KEY = base64.b64encode(b"a stand-in for a storage account's key, 64 bytes as Azure's are.").decode()


@dataclass(frozen=True)
class BlobServer:
    """A blob server with one account, whose containers the tests make."""

    server: str
    """ADDRESS:PORT."""

    def container(self, name: str) -> ContainerClient:
        """A new container."""
        from azure.storage.blob import ContainerClient  # not for tests that need no server

        url = f"http://{self.server}/{ACCOUNT}"
        client = ContainerClient(url, name, credential=ACCOUNT_KEY)
        client.create_container()
        return client


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobServer]:
    """A blob server on a free port of loopback, for all tests; skipped if none is installed."""
    from tests.cloud.servers import wait_for

    if not azurite_tool.folder(ROOT).exists():
        pytest.skip(
            "no blob server here: `python -m tools.azurite` installs it, and `make test` does so first"
        )
    folder = tmp_path_factory.mktemp("azurite")
    with (folder / "log").open("w") as log:
        for left in reversed(range(3)):
            port, server = _start_azurite(folder, log)
            try:
                wait_for("127.0.0.1", port, server)
                break
            except AssertionError:  # somebody else has been given that port meanwhile
                server.kill()
                server.wait()
                if not left:
                    raise
        try:
            yield BlobServer(f"127.0.0.1:{port}")
        finally:
            server.terminate()
            server.wait()


def _start_azurite(folder: Path, log: TextIO) -> tuple[int, subprocess.Popen[bytes]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [*azurite_tool.command(ROOT), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(folder), "--skipApiVersionCheck", "--disableTelemetry"]
    env = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    return port, subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
