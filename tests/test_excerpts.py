"""Log excerpts in tests: their hosts are example hosts (RFC 2606), and no real package server's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OF_PACKAGES = {
    *("debian", "ubuntu", "launchpad", "pypi", "pythonhosted", "anaconda", "conda", "maven", "npmjs"),
    *("yarnpkg", "golang", "crates", "rubygems", "docker", "quay", "ghcr", "gcr"),
}
"""Words in the names of hosts that serve packages."""
HOST = re.compile(
    # Not the path of a Go module: that is no address.
    r"(?<![\w.-])(?:[a-z0-9-]+\.)+(?:org|com|io|net|dev)(?![\w-]|\.\w|/[\w./-]+@v)",
    re.IGNORECASE,
)


def package_hosts(text: str) -> list[str]:
    return [host for host in HOST.findall(text) if OF_PACKAGES.intersection(host.lower().split("."))]


@pytest.mark.parametrize("words", ["deb debian org", "pypi org", "repo maven apache org", "proxy golang org"])
def test_such_a_host_is_found_wherever_it_stands(words: str) -> None:
    host = words.replace(" ", ".")
    for text in (
        f"Connecting to {host}:80",
        f"https://{host}/x",
        f"(host='{host}')",
        f"in {host}, 3",
        f"See {host}.",
    ):
        assert package_hosts(text) == [host]
    assert package_hosts("packages.example.org mirror.test org.apache.maven.plugins debian-12.io") == []


def test_no_test_names_one() -> None:
    found = {}
    for file in sorted(TESTS.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            hosts = package_hosts(file.read_text(errors="replace"))
            if hosts:
                found[str(file.relative_to(TESTS))] = hosts
    assert found == {}, "write packages.example.org instead"
