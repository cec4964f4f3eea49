"""The packing programs as the head runs them: only the files that travel, and stand-ins for binutils."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.framework import steps
from bootstrap.framework.recipe import Recipe
from tests.bootstrap.framework.conftest import CUDA
from tests.bootstrap.framework.test_from_source import TARBALL, lacking

ELF = b"\x7fELF"
STAND_INS = {
    "strip": "exit 0",
    "patchelf": "exit 0",
    "ldconfig": "printf '1 libs found\\n\\tlibc.so.6 (libc6) => /lib/libc.so.6\\n'",
    "readelf": """\
for file; do :; done
case $(basename "$file") in
caffe) echo ' 0x1 (NEEDED) Shared library: [libcaffe.so.1]' ;;
libcaffe.so.1) printf ' 0x1 (NEEDED) Shared library: [%s]\\n' libbrought.so.1 libc.so.6 ;;
esac
""",
    "ldd": "printf '\\tlibc.so.6 => /lib/libc.so.6 (0x1)\\n'",
    "dpkg": "case $2 in /lib/*|/usr/lib/*) echo 'libc6:amd64: '$2 ;; *) exit 1 ;; esac",
}


class Head:
    """A build tree, and a folder with the programs of a recipe as `inputs/` has them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.out = folder, folder / "work", folder / "out"
        (folder / "bin").mkdir(parents=True)
        for name, script in STAND_INS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / "bin" / name).chmod(0o755)
        for name in (
            *("build/tools/caffe", "build/examples/mnist/convert_mnist_data", "build/lib/libcaffe.so.1"),
            *("build/lib/_caffe.so", "build/modules/caffe_allreduce/_native.so"),
            *("python/caffe/__init__.py", "modules/allreduce/caffe_allreduce/__init__.py"),
        ):
            file = self.work / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"" if name.endswith(".py") else ELF)

    def pack(self, recipe: Recipe, *brought: Path) -> dict[str, Any]:
        """Run the last of the recipe's programs; its report."""
        programs = steps.programs(recipe, "debian-12")
        (self.folder / "inputs").mkdir()
        for name, path in programs.items():
            shutil.copy(path, self.folder / "inputs" / name)
        program = self.folder / "inputs" / list(programs)[-1]
        subprocess.run(
            [sys.executable, program, self.work, self.out, *brought, "python3-numpy"],
            check=True,
            env={"PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
        )
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        archive = self.out / "caffe.tar.gz"
        assert found["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
        assert found["size"] == archive.stat().st_size
        assert not list(self.out.glob("*.part"))
        return found

    @property
    def packed(self) -> set[str]:
        with tarfile.open(self.out / "caffe.tar.gz") as tar:
            return {entry.name.removeprefix("./") for entry in tar if entry.isfile()}


@pytest.fixture
def head(tmp_path: Path) -> Head:
    return Head(tmp_path / "head")


OURS = {
    *("bin/caffe", "bin/convert_mnist_data", "lib/libcaffe.so.1"),
    *("python/caffe/__init__.py", "python/caffe/_caffe.so"),
    *("python/caffe_allreduce/__init__.py", "python/caffe_allreduce/_native.so"),
}


def test_what_packages_provide_is_named_and_not_packed(head: Head, rewrite: Callable[..., Recipe]) -> None:
    report = head.pack(rewrite())
    assert report["packages"] == ["libc6", "python3-numpy"]
    assert {name for name in head.packed if "__pycache__" not in name} == OURS


def test_libraries_built_from_source_are_packed(head: Head, rewrite: Callable[..., Recipe]) -> None:
    prefix = head.folder / "prefix"
    (prefix / "lib").mkdir(parents=True)
    (prefix / "lib" / "libbrought.so.1").write_bytes(ELF)
    report = head.pack(lacking(rewrite, TARBALL), prefix)
    assert report["packages"] == ["libc6", "python3-numpy"]
    assert head.packed >= {*OURS, "lib/libbrought.so.1"}


def test_libraries_of_the_toolkit_are_packed(head: Head, rewrite: Callable[..., Recipe]) -> None:
    toolkit = head.folder / "toolkit"
    (toolkit / "lib64").mkdir(parents=True)
    (toolkit / "lib64" / "libbrought.so.1").write_bytes(ELF)
    (toolkit / "EULA.txt").write_text("terms\n")
    head.pack(rewrite(**CUDA), toolkit)
    assert head.packed >= {*OURS, "lib/libbrought.so.1", "licenses/EULA.txt"}
