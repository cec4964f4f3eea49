"""Which mirror the machine uses, from either style of apt source."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.mirror import mirror_lines

DEB822 = """\
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/x.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://else.example/node
Suites: nodistro
Components: main

Types: deb
Enabled: no
URIs: https://off.example/debian
Suites: bookworm
Components: main
"""


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_deb822_sources_give_the_release_its_updates_and_its_security(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert mirror_lines("bookworm", apt) == [
        "deb http://mirror.example/debian bookworm main contrib",
        "deb http://mirror.example/debian bookworm-updates main contrib",
        "deb http://mirror.example/security bookworm-security main",
    ]


def test_one_line_sources_do_too(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "# deb http://old.example/debian bookworm main\n"
        "deb [signed-by=/x.gpg arch=amd64] http://mirror.example/debian bookworm main  # here\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb cdrom:[Debian]/ bookworm main\n"
        "deb https://cloud.example/apt cloud-sdk-bookworm main\n"
    )
    assert mirror_lines("bookworm", apt) == ["deb http://mirror.example/debian bookworm main"]


def test_another_release_has_no_mirror_here(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert mirror_lines("trixie", apt) == []


def test_a_machine_without_apt_has_none(tmp_path: Path) -> None:
    assert mirror_lines("bookworm", tmp_path) == []
