"""The toolkit: which one is taken, and how wheels become a folder that a compiler's user knows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.framework.cuda import Cuda, Toolkit
from bootstrap.framework.recipe import Recipe
from tests.bootstrap.framework.conftest import CUDA

PIP = """\
#!/bin/sh
# python3 -m pip install … --target FOLDER -r PINS, without a network
while [ $# -gt 2 ]; do
  [ "$1" != --target ] || target=$2
  shift
done
[ -s "$2" ] || exit 7
mkdir -p "$target/nvidia/cu13/bin" "$target/nvidia/cu13/include" "$target/nvidia/cu13/lib"
mkdir -p "$target/nvidia/nccl/include" "$target/nvidia/nccl/lib"
mkdir -p "$target/nvidia_cublas-13.0.dist-info/licenses"
echo nvcc >"$target/nvidia/cu13/bin/nvcc"
echo cublas >"$target/nvidia/cu13/lib/libcublas.so.13"
echo nccl >"$target/nvidia/nccl/lib/libnccl.so.2"
echo header >"$target/nvidia/nccl/include/nccl.h"
echo terms >"$target/nvidia_cublas-13.0.dist-info/licenses/License.txt"
"""


@pytest.fixture
def recipe(rewrite: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe for GPUs, on a head whose builds are in the test's own folder."""
    (tmp_path / "build").mkdir()
    monkeypatch.setattr(paths, "BUILDS", str(tmp_path / "build"))
    return rewrite(**CUDA)


def _cuda(recipe: Recipe) -> Cuda:
    assert recipe.cuda is not None
    return recipe.cuda


def _install(recipe: Recipe, tmp_path: Path, pip: str = PIP) -> int:
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin/python3").write_text(pip)
    (tmp_path / "bin/python3").chmod(0o755)
    command = _cuda(recipe).step(recipe.folder, str(recipe.folder)).command
    assert command is not None
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-euc", command.run], env=env, check=False).returncode


def test_wheels_become_one_folder_as_a_toolkit_is(recipe: Recipe, tmp_path: Path) -> None:
    assert _install(recipe, tmp_path) == 0
    home = Path(_cuda(recipe).home(recipe.folder, ()))
    assert (home / "bin/nvcc").is_file()
    assert (home / "include/nccl.h").is_file()
    assert (home / "lib64/libcublas.so").read_text() == "cublas\n"
    assert (home / "lib/libnccl.so").readlink() == Path("libnccl.so.2")
    assert (home / "licenses/nvidia_cublas-13.0.txt").read_text() == "terms\n"


def test_nothing_but_the_toolkit_stays(recipe: Recipe, tmp_path: Path) -> None:
    _install(recipe, tmp_path)
    (prefix,) = (tmp_path / "build").iterdir()
    assert [path.name for path in prefix.iterdir()] == ["toolkit"]
    assert prefix.stat().st_mode & 0o777 == 0o755


def test_an_installation_that_fails_leaves_nothing_that_looks_like_a_toolkit(
    recipe: Recipe, tmp_path: Path
) -> None:
    assert _install(recipe, tmp_path, PIP + "exit 1\n") == 1
    assert list((tmp_path / "build").iterdir()) == []


def test_of_two_builds_that_install_it_at_once_the_first_ones_stays(recipe: Recipe, tmp_path: Path) -> None:
    assert _install(recipe, tmp_path) == 0
    nvcc = Path(_cuda(recipe).home(recipe.folder, ())) / "bin/nvcc"
    first = nvcc.stat().st_ino
    assert _install(recipe, tmp_path) == 0
    assert nvcc.stat().st_ino == first
    assert len(list((tmp_path / "build").iterdir())) == 1


def test_other_pins_are_another_toolkit(recipe: Recipe) -> None:
    before = _cuda(recipe).home(recipe.folder, ())
    (recipe.folder / "small/cuda.txt").write_text("nvidia-cuda-nvcc==13.0.89\n")
    assert _cuda(recipe).home(recipe.folder, ()) != before


def test_the_newest_of_the_heads_toolkits_in_the_recipes_version_is_taken(recipe: Recipe) -> None:
    kits = [
        Toolkit(f"/usr/local/cuda-{v}", v) for v in ("12.9.86", "13.0.48", "13.0.100", "13.0.88", "13.2.51")
    ]
    assert _cuda(recipe).home(recipe.folder, kits) == "/usr/local/cuda-13.0.100"


def test_the_limits_themselves_can_be_compiled_for(recipe: Recipe) -> None:
    assert _cuda(recipe).beyond(["7.5", "8.9", "10.3", "12.1"]) == []
    assert _cuda(recipe).beyond(["12.2", "7.2", "8.6", "5.0"]) == ["5.0", "7.2", "12.2"]
