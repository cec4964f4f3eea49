"""`fab ui` through an SSH server in this process, to pages that this process serves."""

from __future__ import annotations

import functools
import http.server
import io
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap import ui
from bootstrap.cluster import Cluster, WebPage
from bootstrap.errors import Unreachable
from bootstrap.ssh.tunnel import LOOPBACK, Tunnels
from infra.keys import SshKeyProvider
from tests.bootstrap.ssh_server import Door, Server
from tests.outputs import outputs_of


@pytest.fixture
def page(tmp_path: Path) -> Iterator[int]:
    """The port of a page that only the head reaches."""
    (tmp_path / "index.html").write_text("the page")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def there(cluster: Cluster, page: int) -> Iterator[Cluster]:
    """A cluster whose head is a server, which forwards every port of itself to the page."""
    pair = outputs_of(SshKeyProvider(), purpose="operator")
    server = Server()
    server.door = Door(pair["public_key"], routes={"inside": page})
    yield server.holds(cluster, pair["private_key"], server.host_key)
    server.close()


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


def urls(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return re.findall(r"http://\S+", console.file.getvalue())


def test_pages_are_read_until_ctrl_c(
    there: Cluster, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, read = free_port(), list[bytes]()

    def wait(_: Tunnels, timeout: float | None = None) -> None:
        if timeout is None:
            read.extend(urllib.request.urlopen(url, timeout=10).read() for url in urls(console))
            raise KeyboardInterrupt

    monkeypatch.setattr(ui, "pages", lambda _: [WebPage("A page", "inside", port)])
    monkeypatch.setattr(Tunnels, "wait", wait)
    ui.serve(there, console)
    assert read == [b"the page"]
    assert urls(console) == [f"http://127.0.0.1:{port}/"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))


def test_a_port_that_is_taken_is_replaced_by_a_free_one(
    there: Cluster, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tunnels, "wait", lambda _, timeout=None: _interrupt(timeout))
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        found = [WebPage("A page", "inside", port), WebPage("Another", "inside", port)]
        monkeypatch.setattr(ui, "pages", lambda _: found)
        ui.serve(there, console)
    ports = {int(url.split(":")[2].strip("/")) for url in urls(console)}
    assert len(ports) == 2
    assert port not in ports


def test_a_page_that_does_not_answer_says_so(
    there: Cluster, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tunnels, "wait", lambda _, timeout=None: _interrupt(timeout))
    monkeypatch.setattr(ui, "pages", lambda _: [WebPage("A page", "nowhere", free_port())])
    ui.serve(there, console)
    assert isinstance(console.file, io.StringIO)
    assert "(does not answer; run `fab doctor --stack dev`)" in console.file.getvalue()


def test_tunnels_whose_connection_breaks_end_with_the_reason(
    there: Cluster, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = Tunnels.wait

    def killed(tunnels: Tunnels, timeout: float | None = None) -> None:
        if timeout is None:
            tunnels._process.kill()
        wait(tunnels, timeout)

    monkeypatch.setattr(ui, "pages", lambda _: [WebPage("A page", "inside", free_port())])
    monkeypatch.setattr(Tunnels, "wait", killed)
    with pytest.raises(Unreachable, match="the SSH connection of the tunnels broke"):
        ui.serve(there, console)


def test_the_pages_are_those_of_the_scheduler_and_the_history_server(
    cluster: Cluster, yarn_cluster: Cluster
) -> None:
    assert ui.pages(cluster) == [
        ("Spark master", "head", 8080),
        ("Spark history", "127.0.0.1", 18080),
    ]
    assert ui.pages(yarn_cluster)[0] == ("YARN ResourceManager", "head", 8088)


def _interrupt(timeout: float | None) -> None:
    if timeout is None:
        raise KeyboardInterrupt
    threading.Event().wait(timeout)
