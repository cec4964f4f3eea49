"""The tarball depends on the tree's bytes alone. What needs a compiled Caffe is proved by each build."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from bootstrap.framework.on_head import packing


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name, data in {
        "bin/caffe": b"\x7fELF",
        "lib/libcaffe.so.1.0.0": b"\x7fELFlib",
        "python/x.py": b"x = 1\n",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "bin/caffe").chmod(0o755)
    (tree / "lib/libcaffe.so").symlink_to("libcaffe.so.1.0.0")
    return tree


def test_times_owners_and_umask_do_not_change_the_archive(tree: Path, tmp_path: Path) -> None:
    packing.pack(tree, tmp_path / "one.tar.gz")
    for path in tree.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    (tree / "python/x.py").chmod(0o600)
    packing.pack(tree, tmp_path / "another-name.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "another-name.tar.gz").read_bytes()


def test_the_archive_holds_links_modes_and_bytes(tree: Path, tmp_path: Path) -> None:
    packing.pack(tree, tmp_path / "x.tar.gz")
    with tarfile.open(tmp_path / "x.tar.gz") as archive:
        found = {entry.name: (entry.type, oct(entry.mode), entry.linkname) for entry in archive}
    assert found["bin/caffe"] == (tarfile.REGTYPE, "0o755", "")
    assert found["python/x.py"] == (tarfile.REGTYPE, "0o644", "")
    assert found["lib/libcaffe.so"] == (tarfile.SYMTYPE, "0o777", "libcaffe.so.1.0.0")


def test_native_files_are_known_by_their_bytes(tree: Path) -> None:
    assert [path.relative_to(tree).as_posix() for path in packing.native_files(tree)] == [
        "bin/caffe",
        "lib/libcaffe.so.1.0.0",
    ]


def test_byte_code_is_the_same_wherever_the_tree_lies(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "tree"
    (other / "python").mkdir(parents=True)
    (other / "python/x.py").write_bytes((tree / "python/x.py").read_bytes())
    for each in (tree, other):
        packing.compile_python(each)
    (one,), (two,) = ((each / "python/__pycache__").iterdir() for each in (tree, other))
    assert one.read_bytes() == two.read_bytes()
