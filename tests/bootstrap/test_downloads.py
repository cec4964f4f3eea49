"""Limits of downloads, against servers that send a byte now and then."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from bootstrap.downloads import Limits, download
from tests.drip import dripping


@pytest.mark.parametrize("headers", [True, False])
def test_the_limit_of_the_whole_covers_headers_and_content(tmp_path: Path, headers: bool) -> None:
    began = time.monotonic()
    with dripping(headers=headers) as url, pytest.raises(OSError, match="it did not end in time"):
        download(url, tmp_path / "a", Limits(connect=5, whole=0.5, size=1 << 20))
    assert time.monotonic() - began < 5


def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="refused"):
        download("http://127.0.0.1:9/", tmp_path / "a", Limits(connect=5, whole=60, size=1))


def test_a_server_that_says_nothing_is_told_by_its_own_limit(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(OSError, match="timed out"):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        download(url, tmp_path / "a", Limits(connect=0.2, whole=60, size=1))
