"""A notebook server on a head that is this machine: once, and reached with its own token alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError
from bootstrap.ssh.remote import Result
from bootstrap.ssh.unit import Unit
from jobs.job import JobPlace
from jobs.run import notebook
from jobs.submission.notebook import ACCESS_FILE
from tests.bootstrap.local_node import LocalNode
from tests.jobs.specs import mnist_spec

TOKEN = "c0ffee"


@contextmanager
def listening(token: str) -> Iterator[int]:
    """Yield the port of a server that answers to a token; an empty one: to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = not token or self.headers.get("Authorization") == f"token {token}"
            self.send_response(200 if known else 403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def node(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalNode]:
    (tmp_path / "node").mkdir()
    made = LocalNode(tmp_path / "node")

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
        yield made

    monkeypatch.setattr(notebook, "connect", connect)
    monkeypatch.setattr("bootstrap.paths.STATE", str(tmp_path))
    monkeypatch.setattr(notebook, "START_S", 5.0)
    yield made
    Unit(made, notebook.UNIT, str(tmp_path / notebook.NAME)).stop()


def token_of(
    node: LocalNode, cluster: Cluster, port: int, script: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setattr(notebook, "PORT", port)
    place: JobPlace = notebook.place_of(cluster)
    Path(place.work).mkdir(parents=True)
    unit = Unit(node, notebook.UNIT, place.folder)
    unit.start(f"echo {TOKEN} >{place.work}/{ACCESS_FILE}\n{script}")
    return notebook._token(node, unit, place)


def test_the_token_is_the_one_that_the_server_takes(
    node: LocalNode, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(TOKEN) as port:
        assert token_of(node, cluster, port, "exec sleep 60", monkeypatch) == TOKEN


@pytest.mark.parametrize("token", ["", "another"])
@pytest.mark.parametrize("script", ["exec sleep 60", "exit 1"])
def test_another_program_on_the_port_is_not_the_server(
    node: LocalNode, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, token: str, script: str
) -> None:
    monkeypatch.setattr(notebook, "START_S", 1.0)
    with (
        listening(token) as port,
        pytest.raises(JobError, match=r"not listen on port .* another program"),
    ):
        token_of(node, cluster, port, script, monkeypatch)


def test_notebooks_that_are_served_already_are_refused_before_anything_is_installed(
    node: LocalNode, cluster: Cluster
) -> None:
    notebook.require_servable(cluster, mnist_spec())
    place = notebook.place_of(cluster)
    Unit(node, notebook.UNIT, place.folder).start("exec sleep 60")
    with pytest.raises(JobError, match=r"served already.*systemctl stop"):
        notebook.require_servable(cluster, mnist_spec())


def test_a_token_file_of_the_job_users_own_is_no_options_of_curl(
    node: LocalNode, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(notebook, "START_S", 1.0)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("written by root")
    token = f'{TOKEN}"\nurl = "file://{source}"\noutput = "{target}"\n#"'
    monkeypatch.setattr(f"{__name__}.TOKEN", f"'{token}'")
    with listening(TOKEN) as port, pytest.raises(JobError):
        token_of(node, cluster, port, "exec sleep 60", monkeypatch)
    assert not target.exists()


def test_a_session_is_not_asked_to_end_because_an_earlier_one_was(
    node: LocalNode, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Head:
        """The head, by the commands that reach storage."""

        node = cluster.head

        def run(self, script: str, **_: object) -> Result:
            told.extend(line for line in script.splitlines() if "-rm" in line)
            return Result(0, "", "")

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[Head]:
        yield Head()

    class Served(Unit):
        def start(self, script: str) -> None:
            told.append("started")

    monkeypatch.setattr(notebook, "connect", connect)
    for name in ("_require_free", "_upload", "_tunnel", "_end"):
        monkeypatch.setattr(notebook, name, lambda *_: None)
    monkeypatch.setattr(notebook, "_token", lambda *_: TOKEN)
    monkeypatch.setattr(notebook, "Unit", Served)

    notebook.serve(cluster, mnist_spec(), Console(quiet=True))

    removed = next(line for line in told if "/jobs/notebook/stop" in line)
    assert "dfs -rm -f" in removed
    assert told.index(removed) < told.index("started")
