"""Required packages by distribution, and detection of missing ones."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed, ConfigError
from tools import packages
from tools.packages import LIST, Distribution, Package, missing, read_list

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n'
JAMMY = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
NOBLE = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\n'
TEXT = "[a]\nany = x\nubuntu = y\nubuntu-22.04 = z:zed\n"


@pytest.mark.parametrize(
    ("os_release", "names"),
    [
        (DEBIAN, ["x"]),
        (JAMMY, ["x", "z"]),
        (NOBLE, ["x", "y"]),
        (MINT, ["x", "y"]),
        ("", ["x"]),
    ],
)
def test_the_most_exact_list_joins_what_all_need(os_release: str, names: list[str]) -> None:
    listed = read_list(TEXT, Distribution.parse(os_release))
    assert [package.name for package in listed["a"]] == names


@pytest.mark.parametrize("os_release", [DEBIAN, JAMMY, NOBLE])
def test_every_distribution_gets_an_engine_an_image_maker_and_go(os_release: str) -> None:
    listed = read_list(LIST.read_text(), Distribution.parse(os_release))
    named = {group: {package.name for package in group_packages} for group, group_packages in listed.items()}
    assert {"podman", "runc"} <= named["engine"]
    assert "mmdebstrap" in named["image"]
    assert named["go"] == {"golang-go"}
    assert ("netavark" in named["engine"]) == (os_release != JAMMY)


def test_only_packages_neither_installed_nor_substituted_are_missing() -> None:
    asked = [Package.parse(text) for text in ("git:git", "podman:podman", "ca-certificates", "x:/a/file")]
    assert missing(asked, {"ca-certificates"}, {"git"}.__contains__) == ["podman", "x"]
    assert missing(asked, {"x", "podman", "git", "ca-certificates"}, lambda _: False) == []


def test_without_apt_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"podman runc.*no apt-get"):
        packages.install(["podman", "runc"], tmp_path / "log")


def test_without_root_or_sudo_the_error_names_the_next_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command(tmp_path, "apt-get", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match=r"root or sudo.*As root, run `apt-get install podman`"):
        packages.install(["podman"], tmp_path / "log")


def test_a_failing_apt_is_reported_in_one_line_with_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(tmp_path, "apt-get", 'echo "E: Unable to locate package podman"; exit 100')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(CommandFailed) as raised:
        packages.install(["podman"], tmp_path / "log")
    assert "Unable to locate" in capsys.readouterr().err
    assert str(tmp_path / "log") in str(raised.value)
    assert raised.value.fix == "Run `apt-get install podman`, then rerun the command."


@pytest.mark.parametrize(
    ("podman", "docker", "groups"),
    [
        (True, True, ["engine", "firewall", "image"]),
        (False, True, ["firewall", "image"]),
        (False, False, ["engine", "firewall", "image"]),
    ],
)
def test_docker_is_taken_where_it_works_and_podman_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, podman: bool, docker: bool, groups: list[str]
) -> None:
    if podman:
        command(tmp_path, "podman", "exit 0")
    command(tmp_path, "docker", f"exit {0 if docker else 1}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "SYSTEM_PATH", str(tmp_path))
    assert packages.engine_groups(os.environ) == groups


def test_substitutes_are_found_in_system_folders_off_the_users_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command(tmp_path / "sbin", "runc", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "SYSTEM_PATH", str(tmp_path / "sbin"))
    assert packages.present("runc")
    assert packages.present(str(tmp_path / "sbin" / "runc"))
    assert not packages.present("no-such-command")


def command(folder: Path, name: str, body: str) -> None:
    """An executable of that name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{shutil.which('sh')}\n{body}\n")
    path.chmod(0o755)
