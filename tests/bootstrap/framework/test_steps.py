"""A recipe as steps: what is installed, configured and patched, on a source tree of the test's own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.framework import steps
from bootstrap.framework.cuda import Toolkit
from bootstrap.framework.recipe import Recipe
from tests.bootstrap.framework.conftest import CUDA, FACTS, RECIPE

Rewrite = Callable[..., Recipe]

PATCH = """\
Why this patch is.

--- a/src/io.cpp
+++ b/src/io.cpp
@@ -1 +1 @@
-limit(1, 2);
+limit(1);
"""


def _steps(recipe: Recipe, folder: str = "/f", distribution: str = "debian-12") -> dict[str, Any]:
    return {step.name: step for step in steps.steps(recipe, distribution, FACTS.compiler, folder)}


def test_opencv_is_installed_and_configured_by_one_setting(rewrite: Rewrite) -> None:
    on, off = _steps(rewrite()), _steps(rewrite({"opencv": False}))
    assert "libopencv-dev" in on["Install build dependencies"].packages
    assert "libopencv-dev" not in off["Install build dependencies"].packages
    assert "-DUSE_OPENCV=ON" in on["Configure"].build.commands[2]
    assert "-DUSE_OPENCV=OFF" in off["Configure"].build.commands[2]


def test_the_source_step_is_the_distributions(rewrite: Rewrite) -> None:
    recipe = rewrite()
    assert _steps(recipe)["Fetch the source"].debian_source.orig_sha256 == "a" * 64
    assert _steps(recipe, distribution="ubuntu-22.04")["Fetch the source"].git.rev == "b" * 40


def test_a_recipe_for_gpus_names_their_capabilities_and_brings_its_toolkit(rewrite: Rewrite) -> None:
    planned = _steps(rewrite(**CUDA))
    (home,) = re.findall(r"-DCUDA_TOOLKIT_ROOT_DIR=(\S+)", planned["Configure"].build.commands[2])
    assert "'-DCUDA_ARCH_BIN=7.5 9.0'" in planned["Configure"].build.commands[2]
    assert f"-DNCCL_INCLUDE_DIR={home}/include" in planned["Configure"].build.commands[2]
    assert f"{home}/bin/nvcc --version | grep -q 'release 13.0,'" in planned["Check the compiler"].command.run
    assert planned["Install the CUDA toolkit"].command.creates == f"{home}/bin/nvcc"
    assert "/f/inputs/small/cuda.txt" in planned["Install the CUDA toolkit"].command.run
    assert "python3-pip" in planned["Install build dependencies"].packages
    assert f"/f/inputs/assemble_cuda.py /f/work /f/out {home} python3-numpy" in planned["Pack"].command.run


def test_a_toolkit_that_the_head_has_in_that_version_is_used_as_it_is(rewrite: Rewrite) -> None:
    recipe = rewrite(**CUDA)
    kits = [Toolkit("/usr/local/cuda-12.9", "12.9.86"), Toolkit("/usr/local/cuda-13.0", "13.0.88")]
    planned: dict[str, Any] = {
        step.name: step for step in steps.steps(recipe, "debian-12", FACTS.compiler, "/f", toolkits=kits)
    }
    assert "Install the CUDA toolkit" not in planned
    assert "python3-pip" not in planned["Install build dependencies"].packages
    assert "-DCUDA_TOOLKIT_ROOT_DIR=/usr/local/cuda-13.0" in planned["Configure"].build.commands[2]
    assert "/f/out /usr/local/cuda-13.0 " in planned["Pack"].command.run


def test_a_recipe_for_cpus_has_nothing_of_cuda(rewrite: Rewrite) -> None:
    recipe = rewrite()
    planned = steps.steps(
        recipe, "debian-12", FACTS.compiler, "/f", [Toolkit("/usr/local/cuda-13.0", "13.0.88")]
    )
    assert "cuda" not in " ".join(step.model_dump_json().lower() for step in planned)
    assert list(steps.programs(recipe, "debian-12")) == ["packing.py", "assemble.py"]


@pytest.fixture
def tree(tmp_path: Path, recipes: Path) -> Path:
    """A build folder with `source/` and `inputs/`."""
    (recipes / "small/one.patch").write_text(PATCH)
    folder = tmp_path / "build"
    (folder / "source/src").mkdir(parents=True)
    (folder / "source/src/io.cpp").write_text("limit(1, 2);\n")
    (folder / "source/src/caffe.proto").write_text(
        "message LayerParameter {\n  optional string name = 1;\n}\nmessage LayerParameterX {\n}\n"
    )
    (folder / "source/CMakeLists.txt").write_text("project(x)\n")
    (folder / "inputs").symlink_to(recipes)
    return folder


def _patch(recipe: Recipe, folder: Path) -> subprocess.CompletedProcess[str]:
    command = _steps(recipe, str(folder))["Patch"].command
    return subprocess.run(
        ["sh", "-euc", command.run],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


def test_patches_fields_messages_and_our_module_are_put_into_a_copy(rewrite: Rewrite, tree: Path) -> None:
    done = _patch(rewrite(), tree)
    assert done.returncode == 0, done.stderr
    assert (tree / "work/src/io.cpp").read_text() == "limit(1);\n"
    assert (tree / "source/src/io.cpp").read_text() == "limit(1, 2);\n"
    assert (tree / "work/src/caffe.proto").read_text().splitlines() == [
        "message LayerParameter {",
        "  optional string source_class = 10001;",
        "  optional string name = 1;",
        "}",
        "message LayerParameterX {",
        "}",
        "message More {}",
    ]
    assert (tree / "work/CMakeLists.txt").read_text().splitlines() == [
        "project(x)",
        "add_subdirectory(modules/allreduce)",
        "add_custom_target(caffe_spark_framework)",
        "add_dependencies(caffe_spark_framework caffe pycaffe)",
    ]
    assert (tree / "work/modules/allreduce/native.cpp").is_file()


def test_several_fields_and_quotes_in_defaults_survive_the_shell(rewrite: Rewrite, tree: Path) -> None:
    fields = ["optional bool a = 1 [default = true];", 'optional string b = 2 [default = "parquet"];']
    done = _patch(rewrite(proto={**RECIPE["proto"], "fields": {"LayerParameter": fields}}), tree)
    assert done.returncode == 0, done.stderr
    assert (tree / "work/src/caffe.proto").read_text().splitlines()[1:3] == [f"  {field}" for field in fields]


def test_a_patch_that_does_not_apply_leaves_no_tree_that_looks_patched(rewrite: Rewrite, tree: Path) -> None:
    (tree / "source/src/io.cpp").write_text("limit(3);\n")
    assert _patch(rewrite(), tree).returncode != 0
    assert not (tree / "work").exists()


def test_a_message_that_the_source_lacks_is_named(rewrite: Rewrite, tree: Path) -> None:
    proto = {**RECIPE["proto"], "fields": {"NoSuchParameter": ["optional bool a = 1;"]}}
    done = _patch(rewrite(proto=proto), tree)
    assert done.returncode != 0
    assert "src/caffe.proto has no message NoSuchParameter" in done.stderr


def test_the_recipes_tests_see_what_was_packed_and_leave_their_mark(rewrite: Rewrite, tree: Path) -> None:
    (tree / "out").mkdir()
    (tree / "inputs/small/works.py").write_text(
        f"import sys; assert sys.path[1:3] == ['{tree}/out/tree/python', '{paths.SYSTEM_PACKAGES}']\n"
        "packages = [path for path in sys.path if path.endswith(('dist-packages', 'site-packages'))]\n"
        f"assert packages == ['{paths.SYSTEM_PACKAGES}'], packages\n"
    )
    command = steps.commands([steps.test_step(rewrite(), "debian-12", str(tree))])[0]
    before, run, after = (
        subprocess.run(["sh", "-euc", script], check=False).returncode
        for script in (command.guard, command.run, command.guard)
    )
    assert (before != 0, run, after) == (True, 0, 0)
