"""Choice of the Go that builds the CLI; an old one fetches a newer toolchain."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed, ConfigError
from tools import go as go_module
from tools.go import Go, newest, parse_version, prepare, wanted_version

WANTED = (1, 25, 11)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.19.8 linux/amd64", (1, 19, 8)),
        ("1.25.11", (1, 25, 11)),
        ("go1.26rc1", (1, 26, 0)),
        ("devel", None),
    ],
)
def test_versions_are_read(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


def test_the_required_version_is_read_from_go_mod() -> None:
    assert wanted_version("module x\n\ngo 1.25.11\n\nrequire y v1.2.3\n") == WANTED


def test_the_first_that_is_recent_enough_is_taken_else_the_newest() -> None:
    old, fair, new = Go("a", (1, 19, 8)), Go("b", (1, 22, 0)), Go("c", (1, 26, 0))
    assert newest([old, fair, new, Go("d", (1, 27, 0))], WANTED) is new
    assert newest([old, fair], WANTED) is fair
    assert newest([], WANTED) is None


def test_a_recent_go_is_used_as_it_is_and_an_older_one_switches_by_itself() -> None:
    assert prepare(Go("go", (1, 26, 0)), WANTED) == ("go", {"GOTOOLCHAIN": "local"})
    assert prepare(Go("go", (1, 22, 0)), WANTED) == ("go", {"GOTOOLCHAIN": "auto"})


def test_an_old_go_downloads_the_toolchain_and_makes_it_executable(tmp_path: Path) -> None:
    toolchain = tmp_path / "toolchain"
    for file in ("bin/go", "pkg/tool/linux_amd64/compile"):
        (toolchain / file).parent.mkdir(parents=True)
        (toolchain / file).touch(0o444)
    go = old_go(tmp_path, f'echo "$4" > {tmp_path}/asked; echo \'{{"Dir": "{toolchain}"}}\'')
    assert prepare(go, WANTED) == (str(toolchain / "bin" / "go"), {"GOTOOLCHAIN": "local"})
    assert (tmp_path / "asked").read_text() == "golang.org/toolchain@v0.0.1-go1.25.11.linux-amd64\n"
    assert (toolchain / "pkg/tool/linux_amd64/compile").stat().st_mode & 0o100


def test_a_download_of_a_toolchain_that_does_not_end_is_a_failed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go_module, "ASK_S", 0.3)
    go = old_go(tmp_path, "exec sleep 20")
    with pytest.raises(CommandFailed, match="cannot download that toolchain"):
        prepare(go, WANTED)


def test_an_old_go_downloads_no_toolchain_that_it_would_not_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSUMDB", "off")
    with pytest.raises(
        ConfigError, match=r"GOSUMDB=off: Go 1\.25\.11 would be downloaded and run unverified"
    ):
        prepare(old_go(tmp_path, f"touch {tmp_path}/downloaded"), WANTED)
    assert not (tmp_path / "downloaded").exists()


def test_the_toolchain_is_not_exempt_from_the_checksum_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GONOSUMDB", "*")
    with pytest.raises(CommandFailed):
        prepare(old_go(tmp_path, f'echo "$GONOSUMDB" >{tmp_path}/exempt; exit 1'), WANTED)
    assert (tmp_path / "exempt").read_text() == "none\n"


def test_an_old_go_without_a_download_names_the_version_to_install(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"1\.19\.8.*older than 1\.25\.11.*Install Go 1\.25\.11"):
        prepare(old_go(tmp_path, "exit 1"), WANTED)


def old_go(folder: Path, download: str) -> Go:
    """A fake Go 1.19."""
    path = folder / "go"
    system = '"env GOOS") echo linux;; "env GOARCH") echo amd64;; "env GOSUMDB") echo "$GOSUMDB";;'
    body = f'case "$1 $2" in {system} "mod download") {download};; esac'
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Go(str(path), (1, 19, 8))
