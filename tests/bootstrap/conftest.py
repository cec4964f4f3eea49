"""Fixtures of bootstrap's tests: sandboxes for unit tests, real nodes for those marked `cluster`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.engine.role import Role, load_role
from infra.keys import SshKeyProvider
from tests.bootstrap.nodes import bare_nodes
from tests.bootstrap.sandbox import Sandboxes
from tests.outputs import outputs_of

MakeRole = Callable[..., Role]


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    """The folder that `make_role` writes to."""
    return tmp_path / "roles"


@pytest.fixture
def make_role(roles: Path) -> MakeRole:
    """Writes a role's files, their YAML as JSON, which is faster; and loads it."""

    def make(name: str, steps: list[dict[str, Any]], **rest: Any) -> Role:
        folder = roles / name
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        for file, text in rest.pop("templates", {}).items():
            (folder / "templates" / file).write_text(text)
        (folder / "defaults.yaml").write_text(json.dumps(rest.pop("defaults", {})))
        document = {"name": name, "description": name, "steps": steps, **rest}
        (folder / "role.yaml").write_text(json.dumps(document))
        return load_role(name, roles)

    return make


@pytest.fixture
def sandboxes(tmp_path: Path, cluster: Cluster) -> Sandboxes:
    """A sandbox for every node of the cluster."""
    return Sandboxes(tmp_path / "nodes", cluster)


@pytest.fixture
def console() -> Console:
    """A console that is no terminal; what it got is in `.file`."""
    return Console(file=io.StringIO(), width=200, force_terminal=False)


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[Cluster]:
    """Three bare nodes that no role has been applied to: head, w1, w2."""
    with bare_nodes(["head", "w1", "w2"]) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def private_key() -> str:
    """An Ed25519 key in OpenSSH's format."""
    return str(outputs_of(SshKeyProvider(), purpose="test")["private_key"])
