"""Parts of the tree that come from no package: built libraries, Python's own, packages, licences."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bootstrap.framework.steps import ON_HEAD

NEEDS = {
    "caffe": ["libcaffe.so.1.0.0", "libpython3.8.so.1.0", "libc.so.6"],
    "libcaffe.so.1.0.0": ["libboost_thread.so.1.74.0", "libopenblas.so.0", "libc.so.6"],
    "_native.so": ["libcaffe.so.1.0.0", "libgloo.so.0", "libstdc++.so.6"],
    "libboost_thread.so.1.74.0": ["libboost_atomic.so.1.74.0"],
    "libboost_atomic.so.1.74.0": ["libc.so.6"],
}
SYSTEM = ["libc.so.6", "libopenblas.so.0", "libstdc++.so.6"]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The program as the head runs it, by a Python from elsewhere that has a compiler's libraries with it."""
    monkeypatch.syspath_prepend(str(ON_HEAD))
    for name in ("packing", "assemble_built"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("assemble_built")

    def run(*words: str) -> str:
        if words[0] == "ldconfig":
            return "2 libs found\n" + "".join(f"\t{name} (libc6,x86-64) => /lib/{name}\n" for name in SYSTEM)
        assert words[0] == "readelf"
        names = NEEDS.get(Path(words[-1]).name, [])
        return "".join(f" 0x0001 (NEEDED)  Shared library: [{name}]\n" for name in names)

    monkeypatch.setattr(module.packing, "run", run)
    own = tmp_path / "py38/lib"
    (own / "python3.8").mkdir(parents=True)
    (own / "python3.8/LICENSE.txt").write_text("Python's terms\n")
    for name in ("libpython3.8.so.1.0", "libstdc++.so.6", "libopenblas.so.0"):
        (own / name).write_bytes(b"\x7fELF")
    monkeypatch.setattr(module.sysconfig, "get_config_var", lambda _: str(own))
    monkeypatch.setattr(module.sysconfig, "get_path", lambda _: str(own / "python3.8"))
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("bin/caffe", "lib/libcaffe.so.1.0.0", "python/caffe_allreduce/_native.so"):
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"\x7fELF")
    return tmp_path / "tree"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    home = tmp_path / "prefix"
    for name in ("lib", "licenses", "python/google/protobuf", "python/six-1.16.0.dist-info", "python/bin"):
        (home / name).mkdir(parents=True)
    for name in ("thread", "atomic", "filesystem"):
        (home / f"lib/libboost_{name}.so.1.74.0").write_bytes(b"\x7fELF" + name.encode())
    (home / "lib/libgloo.so.0.5").write_bytes(b"\x7fELF")
    (home / "lib/libgloo.so.0").symlink_to("libgloo.so.0.5")
    (home / "licenses/boost.txt").write_text("Boost's terms\n")
    (home / "python/six.py").write_text("x = 1\n")
    (home / "python/google/protobuf/__init__.py").write_text("")
    return home


BUILT = ["libboost_atomic.so.1.74.0", "libboost_thread.so.1.74.0", "libgloo.so.0"]


def add_libraries(program: ModuleType, tree: Path, prefix: Path, system: list[str]) -> list[str]:
    added: list[str] = program.packing.add_libraries(tree, lambda name: program.find(name, prefix, system))
    return added


def test_libraries_that_were_built_and_pythons_own_are_copied_and_no_others(
    program: ModuleType, tree: Path, prefix: Path
) -> None:
    added = add_libraries(program, tree, prefix, program.system_libraries())
    assert added == [*BUILT, "libpython3.8.so.1.0"]
    assert {path.name for path in (tree / "lib").iterdir()} == {"libcaffe.so.1.0.0", *added}
    assert not (tree / "lib/libgloo.so.0").is_symlink()


def test_a_pythons_library_that_a_package_brings_stays_where_it_is(
    program: ModuleType, tree: Path, prefix: Path
) -> None:
    assert add_libraries(program, tree, prefix, [*SYSTEM, "libpython3.8.so.1.0"]) == BUILT


def test_one_that_was_built_goes_before_the_systems_of_that_name(
    program: ModuleType, tree: Path, prefix: Path
) -> None:
    assert "libgloo.so.0" in add_libraries(program, tree, prefix, [*SYSTEM, "libgloo.so.0"])


def test_python_packages_and_all_terms_go_along(program: ModuleType, tree: Path, prefix: Path) -> None:
    program.add_rest(tree, prefix, ["libpython3.8.so.1.0"])
    assert (tree / "python/six.py").is_file()
    assert (tree / "python/google/protobuf/__init__.py").is_file()
    assert not (tree / "python/bin").exists()
    assert (tree / "licenses/boost.txt").read_text() == "Boost's terms\n"
    assert (tree / "licenses/python.txt").read_text() == "Python's terms\n"


def test_a_prefix_without_packages_and_terms_is_well(program: ModuleType, tree: Path, tmp_path: Path) -> None:
    program.add_rest(tree, tmp_path / "none", [])
    assert not (tree / "licenses").exists()
