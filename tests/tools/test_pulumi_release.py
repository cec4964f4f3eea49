"""Download of the Pulumi CLI from servers on loopback, and its comparison with the published sums."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, AnyStr

import pytest

from bootstrap.errors import ConfigError, IntegrityError
from tests.drip import dripping
from tools import pulumi_cli, pulumi_release
from tools.environment import ROOT
from tools.pulumi_release import install, published_sum, wanted_version

if TYPE_CHECKING:
    from _typeshed import SupportsRead, SupportsWrite

NAME = "pulumi-v3.4.5-linux-x64.tar.gz"


class Release:
    """A release of version 3.4.5 as its two servers have it."""

    def __init__(self, folder: Path) -> None:
        self.archive = folder / "sdk" / NAME
        self.sums = folder / "download" / "v3.4.5" / "pulumi-3.4.5-checksums.txt"
        for file in (self.archive, self.sums):
            file.parent.mkdir(parents=True)
        self.pack({"pulumi/pulumi": "cli", "pulumi/pulumi-language-python": "host"})
        self.publish()

    def pack(self, files: dict[str, str]) -> None:
        with tarfile.open(self.archive, "w:gz") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o755
                archive.addfile(entry, io.BytesIO(text.encode()))

    def publish(self, name: str = NAME) -> None:
        digest = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        self.sums.write_text(f"{'0' * 64}  pulumi-v3.4.5-linux-arm64.tar.gz\n{digest}  {name}\n")


class Quiet(SimpleHTTPRequestHandler):
    cut = 0
    """Bytes that are missing at the end of each answer."""

    def copyfile(self, source: SupportsRead[AnyStr], outputfile: SupportsWrite[AnyStr]) -> None:
        data = source.read()
        outputfile.write(data[: len(data) - self.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    folder = tmp_path / "served"
    made = Release(folder)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Quiet(*arguments, directory=str(folder))
    )
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(pulumi_release, "ARCHIVES", f"{url}/sdk")
    monkeypatch.setattr(pulumi_release, "SUMS", f"{url}/download")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_release_with_its_published_sum_replaces_what_was_there(release: Release, tmp_path: Path) -> None:
    target = tmp_path / "cli" / "bin"
    (target / "old").mkdir(parents=True)
    install("3.4.5", target)
    assert {file.name: file.read_text() for file in target.iterdir()} == {
        "pulumi": "cli",
        "pulumi-language-python": "host",
    }
    assert all(file.stat().st_mode & 0o111 for file in target.iterdir())
    assert [path.name for path in target.parent.iterdir()] == ["bin"]


def test_other_bytes_than_published_are_refused_and_nothing_of_them_stays(
    release: Release, tmp_path: Path
) -> None:
    release.pack({"pulumi/pulumi": "evil"})
    with pytest.raises(IntegrityError, match=rf"{NAME}: its sha256 is [0-9a-f]{{64}}, published is"):
        install("3.4.5", tmp_path / "cli" / "bin")
    assert list((tmp_path / "cli").iterdir()) == []


def test_an_archive_whose_sum_is_not_published_is_refused(release: Release, tmp_path: Path) -> None:
    release.publish(name="another.tar.gz")
    with pytest.raises(IntegrityError, match="the published sums do not name it"):
        install("3.4.5", tmp_path / "cli" / "bin")


def test_no_path_of_an_archive_leads_out_of_the_folder(release: Release, tmp_path: Path) -> None:
    release.pack({"../../outside": "evil", "pulumi/pulumi": "cli"})
    release.publish()
    install("3.4.5", tmp_path / "cli" / "bin")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("missing", ["archive", "sums"])
def test_go_builds_the_cli_where_a_server_lacks_it(release: Release, tmp_path: Path, missing: str) -> None:
    (release.archive if missing == "archive" else release.sums).unlink()
    (tmp_path / "requirements.lock").write_text("pulumi==3.4.5 \\\n")
    log = tmp_path / "log"
    assert pulumi_cli._download(tmp_path, tmp_path / "cli" / "bin", log) is False
    assert "404" in log.read_text()


def test_a_download_that_ends_early_is_not_taken_for_a_changed_one(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Quiet, "cut", 1)
    with pytest.raises(OSError, match="ended after"):
        install("3.4.5", tmp_path / "cli" / "bin")


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi_release, "DOWNLOAD_S", 0.3)
    with dripping() as url:
        monkeypatch.setattr(pulumi_release, "ARCHIVES", url)
        with pytest.raises(OSError, match=r"the download took longer than 0\.3 s"):
            install("3.4.5", tmp_path / "cli" / "bin")


def test_go_does_not_build_it_quietly_where_the_download_was_changed(
    release: Release, tmp_path: Path
) -> None:
    release.pack({"pulumi/pulumi": "evil"})
    (tmp_path / "requirements.lock").write_text("pulumi==3.4.5 \\\n")
    with pytest.raises(IntegrityError):
        pulumi_cli._download(tmp_path, tmp_path / "cli" / "bin", tmp_path / "log")


def test_a_system_without_a_release_is_not_asked_for(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no release for Linux on riscv64"):
        install("3.4.5", tmp_path / "bin")


def test_the_cli_has_the_version_of_the_locked_package() -> None:
    assert wanted_version("a==1\npulumi==3.4.5 \\\npulumi-aws==9.9.9\n") == "3.4.5"
    assert pulumi_cli.parse_version(wanted_version((ROOT / "requirements.lock").read_text()))
    with pytest.raises(ConfigError, match="does not pin pulumi"):
        wanted_version("pulumi-aws==9.9.9\n")


@pytest.mark.parametrize("line", [f"abc  {NAME}", f"{'0' * 64} {NAME}", f"{'0' * 64}  x{NAME}"])
def test_only_a_line_of_the_file_itself_counts(line: str) -> None:
    with pytest.raises(IntegrityError):
        published_sum(line, NAME)
