"""Entries of the packages operation."""

from __future__ import annotations

import pytest

from bootstrap.engine.operations.packages import Packages
from bootstrap.errors import ConfigError


@pytest.mark.parametrize(
    "entry",
    ["-oDPkg::Pre-Invoke=id", "--allow-unauthenticated", "a;id", "$(id)", "./evil.deb", "/evil.deb", "a/sid"],
)
def test_what_is_not_a_packages_name_never_reaches_apt(entry: str) -> None:
    with pytest.raises(ConfigError, match="not a valid name"):
        Packages(install=["libgomp1", entry]).scripts()


@pytest.mark.parametrize("entry", ["g++", "libstdc++6", "libc6:amd64", "python3.8", "caffe=1.0-1+b2~deb12:x"])
def test_names_with_architecture_and_version_are_taken(entry: str) -> None:
    assert entry in Packages(install=[entry]).scripts().run
