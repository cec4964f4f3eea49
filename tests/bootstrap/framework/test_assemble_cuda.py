"""NVIDIA's libraries in the tree: those that are needed, and no more. A real tree is proved by each build."""

from __future__ import annotations

import importlib
import os
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from bootstrap.framework.steps import ON_HEAD

NEEDS = {
    "libcaffe.so.1.0.0": ["libcublas.so.13", "libcudart.so.13", "libopenblas.so.0", "libc.so.6"],
    "_caffe.so": ["libcaffe.so.1.0.0", "libcudart.so.13"],
    "libcublas.so.13": ["libcublasLt.so.13", "libc.so.6"],
}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as the head runs it: with `packing` beside it, and a readelf that knows NEEDS."""
    monkeypatch.syspath_prepend(str(ON_HEAD))
    for name in ("packing", "assemble_cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("assemble_cuda")
    really = module.packing.run

    def run(*words: str) -> str:
        if words[0] != "readelf":
            return str(really(*words))
        names = NEEDS.get(Path(words[-1]).name, [])
        return "".join(f" 0x0001 (NEEDED)  Shared library: [{name}]\n" for name in names)

    monkeypatch.setattr(module.packing, "run", run)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("lib/libcaffe.so.1.0.0", "python/caffe/_caffe.so"):
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"\x7fELF")
    return tmp_path / "tree"


@pytest.fixture
def toolkit(tmp_path: Path) -> Path:
    home = tmp_path / "toolkit"
    (home / "lib").mkdir(parents=True)
    (home / "licenses").mkdir()
    for name in (
        "libcublas.so.13.0.2",
        "libcublasLt.so.13",
        "libcudart.so.13",
        "libnvblas.so.13",
        "libnvvm.so.4",
    ):
        (home / "lib" / name).write_bytes(b"\x7fELF" + name.encode())
    (home / "lib/libcublas.so.13").symlink_to("libcublas.so.13.0.2")
    (home / "licenses/nvidia_cublas-13.0.txt").write_text("terms\n")
    return home


def add_libraries(program: ModuleType, tree: Path, toolkit: Path) -> list[str]:
    added: list[str] = program.packing.add_libraries(tree, lambda name: program.find(name, toolkit))
    return added


def test_what_the_tree_needs_of_the_toolkit_and_what_that_needs_is_copied(
    program: ModuleType, tree: Path, toolkit: Path
) -> None:
    added = add_libraries(program, tree, toolkit)
    assert added == ["libcublas.so.13", "libcublasLt.so.13", "libcudart.so.13"]
    assert {path.name for path in (tree / "lib").iterdir()} == {"libcaffe.so.1.0.0", *added}


def test_a_library_lies_there_under_the_name_that_is_asked_for(
    program: ModuleType, tree: Path, toolkit: Path
) -> None:
    add_libraries(program, tree, toolkit)
    copy = tree / "lib/libcublas.so.13"
    assert not copy.is_symlink()
    assert copy.read_bytes() == b"\x7fELFlibcublas.so.13.0.2"


def test_libraries_in_any_folder_that_toolkits_have_are_found(
    program: ModuleType, tree: Path, tmp_path: Path
) -> None:
    home = tmp_path / "installed"
    for place in (
        "targets/x86_64-linux/lib/libcublas.so.13",
        "lib/libcudart.so.13",
        "lib64/libcublasLt.so.13",
    ):
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_bytes(b"\x7fELF")
    assert len(add_libraries(program, tree, home)) == 3


def test_their_terms_go_with_them(program: ModuleType, tree: Path, toolkit: Path) -> None:
    program.add_licences(tree, toolkit)
    assert (tree / "licenses/nvidia_cublas-13.0.txt").read_text() == "terms\n"


def test_times_and_umask_do_not_change_the_archive(program: ModuleType, tree: Path, tmp_path: Path) -> None:
    program.pack(tree, tmp_path / "one.tar.gz")
    for path in tree.rglob("*"):
        os.utime(path, (1, 1))
    (tree / "lib/libcaffe.so.1.0.0").chmod(0o600)
    program.pack(tree, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_the_archive_holds_the_trees_files_and_belongs_to_root(
    program: ModuleType, tree: Path, tmp_path: Path
) -> None:
    program.pack(tree, tmp_path / "x.tar.gz")
    with tarfile.open(tmp_path / "x.tar.gz") as archive:
        found = {entry.name: (entry.uid, oct(entry.mode)) for entry in archive}
    assert found["./lib/libcaffe.so.1.0.0"] == (0, "0o644")
    assert found["./python/caffe"] == (0, "0o755")
