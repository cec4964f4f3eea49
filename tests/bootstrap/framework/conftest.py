"""A recipe of its own folder, small enough to change in a test, and facts of a head."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.framework.key import HeadFacts
from bootstrap.framework.manifest import Manifest, built_now
from bootstrap.framework.recipe import Recipe, load_recipe
from tests.cloud.aws_account import aws_account, read_once

__all__ = ["aws_account", "read_once"]

RECIPE: dict[str, Any] = {
    "name": "small",
    "description": "a recipe for tests",
    "device": "cpu",
    "source": "debian",
    "debian": {
        "package": "caffe",
        "version": "1.0-1",
        "suite": "bullseye",
        "components": ["main", "contrib"],
        "orig_sha256": "a" * 64,
    },
    "git": {"repo": "https://git.example/caffe.git", "rev": "b" * 40},
    "patches": ["small/one.patch"],
    "proto": {
        "file": "src/caffe.proto",
        "append": "small/more.proto",
        "fields": {"LayerParameter": ["optional string source_class = 10001;"]},
    },
    "modules": ["small/allreduce"],
    "cmake": {"CPU_ONLY": True, "BLAS": "Open"},
    "targets": ["caffe", "pycaffe"],
    "tests": ["small/works.py"],
    "core_seconds": 400,
    "distributions": {
        "debian-12": {"build": ["cmake g++"], "opencv": ["libopencv-dev"], "run": ["python3-numpy"]},
        "ubuntu-22.04": {"source": "git", "build": ["cmake g++ git"], "run": ["python3-numpy"]},
    },
}

CUDA: dict[str, Any] = {
    "device": "cuda",
    "cmake": {"CPU_ONLY": False},
    "cuda": {
        "version": "13.0",
        "oldest": "7.5",
        "newest": "12.1",
        "archs": ["7.5", "9.0"],
        "wheels": "small/cuda.txt",
        "packages": ["python3-pip"],
    },
}
"""Changes that make `small` a recipe for GPUs."""

FACTS = HeadFacts("debian-12", "amd64", ("g++-12", "12.2.0-14"), cores=4, disk_free_mb=50_000)


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A folder of recipes with the files that `small` names."""
    folder = tmp_path / "recipes"
    files = {
        "small.yaml": json.dumps(RECIPE),
        "small/one.patch": "--- a/x\n+++ b/x\n",
        "small/more.proto": "message More {}\n",
        "small/works.py": "print('works')\n",
        "small/cuda.txt": "nvidia-cuda-nvcc==13.0.88 --hash=sha256:" + "d" * 64 + "\n",
        "small/allreduce/CMakeLists.txt": "add_library(x)\n",
        "small/allreduce/native.cpp": "int x;\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def rewrite(recipes: Path) -> Callable[..., Recipe]:
    """Load `small` after changing some of its keys; None removes one."""

    def load(overrides: dict[str, Any] | None = None, **changes: Any) -> Recipe:
        document = {**RECIPE, **changes}
        document = {key: value for key, value in document.items() if value is not None}
        (recipes / "small.yaml").write_text(json.dumps(document))
        return load_recipe("small", overrides, recipes)

    return load


@pytest.fixture
def manifest() -> Manifest:
    """The manifest of an artefact whose archive is `b"archive"`."""
    return Manifest(
        key="0123456789abcdef0123",
        sha256="0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3",
        size=7,
        unpacked=21,
        packages=["libopenblas0", "python3-numpy"],
        inputs={"recipe": "small", "opencv": True, "distribution": FACTS.distribution},
        built=built_now("head", 4, {"Compile": 100.0, "Configure": 5.0}),
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's cache, in the test's own folder."""
    monkeypatch.setenv("CAFFE_SPARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
