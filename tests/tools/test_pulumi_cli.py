"""Choice of the Pulumi CLI, and its download or build."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from tools import pulumi_cli
from tools.environment import cli_folder
from tools.pulumi_cli import Cli, choose, ensure, look, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.259.0\n", (3, 259, 0)),
        ("3.200.1-alpha.5+dirty", (3, 200, 1)),
        ("", None),
        ("command not found", None),
    ],
)
def test_versions_are_read_as_the_cli_prints_them(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


def test_the_first_that_is_recent_and_runs_python_is_chosen() -> None:
    old, deaf, good = Cli("a", (3, 99, 0), True), Cli("b", (3, 300, 0), False), Cli("c", (3, 200, 0), True)
    assert choose([old, deaf, good, Cli("d", (3, 999, 0), True)]) is good
    assert choose([old, deaf]) is None
    assert choose([]) is None


def test_every_cli_on_the_path_is_examined(tmp_path: Path) -> None:
    cli(tmp_path / "old", "v3.10.0")
    cli(tmp_path / "new", "v3.260.0")
    cli(tmp_path / "broken", "", status=1)
    path = os.pathsep.join(str(tmp_path / name) for name in ("broken", "nothing", "old", "new"))
    assert [found.version for found in look(path)] == [(3, 10, 0), (3, 260, 0)]


def test_a_cli_on_path_is_taken_and_nothing_is_made(root: Path, tmp_path: Path, made: list[str]) -> None:
    cli(tmp_path / "bin", "v3.260.0")
    assert "3.260.0" in ensure(root, {"PATH": str(tmp_path / "bin")}, root / "log", at_once)
    assert made == []


def test_an_old_cli_on_path_is_replaced_by_a_download(root: Path, tmp_path: Path, made: list[str]) -> None:
    cli(tmp_path / "bin", "v3.10.0")
    assert str(cli_folder(root)) in ensure(root, {"PATH": str(tmp_path / "bin")}, root / "log", at_once)
    assert made == ["downloaded"]


def test_go_builds_it_where_nothing_can_be_downloaded(
    root: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi_cli, "_download", lambda *_: False)
    ensure(root, {"PATH": ""}, root / "log", at_once)
    assert made == ["built"]
    ensure(root, {"PATH": ""}, root / "log", at_once)
    assert made == ["built"], "the second run has nothing to do"


def test_a_build_from_other_pins_is_replaced(
    root: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi_cli, "_download", lambda *_: False)
    ensure(root, {"PATH": ""}, root / "log", at_once)
    (root / "tools" / "pulumi" / "go.sum").write_text("newer")
    ensure(root, {"PATH": ""}, root / "log", at_once)
    assert made == ["built", "built"]


def test_packages_are_counted_and_downloads_shown() -> None:
    counter = pulumi_cli.Counter()
    assert counter.count("go: downloading github.com/spf13/cobra v1.6.1").startswith("downloading github.com")
    assert counter.count("github.com/spf13/cobra") == "1 packages"
    counter.of = " of at most 9 packages"
    assert counter.count("main") == "2 of at most 9 packages"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with the two modules, and nothing set up."""
    folder = tmp_path / "checkout"
    for module in ("pulumi", "pulumi-language-python"):
        (folder / "tools" / module).mkdir(parents=True)
        for name in ("go.mod", "go.sum"):
            (folder / "tools" / module / name).write_text(f"module {module}\n\ngo 1.25.11\n")
    return folder


@pytest.fixture
def made(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record of downloads and builds; each puts a fake CLI in place."""
    done: list[str] = []

    def download(*_: object) -> bool:
        done.append("downloaded")
        cli(cli_folder(root), "v3.272.0")
        return True

    def build(*_: object) -> None:
        done.append("built")
        cli(cli_folder(root), "v3.259.0")

    monkeypatch.setattr(pulumi_cli, "_download", download)
    monkeypatch.setattr(pulumi_cli, "build", build)
    return done


def at_once(work: Callable[[], None]) -> Future[None]:
    """Do the work now."""
    done: Future[None] = Future()
    work()
    done.set_result(None)
    return done


def cli(folder: Path, version: str, status: int = 0) -> None:
    """Write a fake CLI with a version and a language host."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pulumi", "pulumi-language-python"):
        (folder / name).write_text(f"#!/bin/sh\necho {version}\nexit {status}\n")
        (folder / name).chmod(0o755)
