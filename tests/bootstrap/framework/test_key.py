"""The key changes with everything that decides the artefact's bytes, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.errors import BuildError, ConfigError
from bootstrap.framework import key
from bootstrap.framework.cuda import Toolkit
from bootstrap.framework.key import inputs_of, key_of, read_facts, require_same_distribution
from bootstrap.framework.recipe import Recipe, load_recipe
from tests.bootstrap.framework.conftest import CUDA, FACTS, RECIPE
from tests.bootstrap.local_node import LocalNode

Rewrite = Callable[..., Recipe]


def _key(recipe: Recipe, facts: Any = FACTS) -> str:
    return key_of(inputs_of(recipe, facts))


def test_the_same_inputs_give_the_same_key(rewrite: Rewrite) -> None:
    key = _key(rewrite())
    assert key == _key(rewrite())
    assert len(key) == 20


@pytest.mark.parametrize(
    "changes",
    [
        {"debian": {**RECIPE["debian"], "orig_sha256": "c" * 64}},
        {"debian": {**RECIPE["debian"], "version": "1.0-2"}},
        {"source": "git"},
        {"patches": []},
        {"proto": {**RECIPE["proto"], "fields": {}}},
        {"proto": None},
        {"cmake": {"CPU_ONLY": True, "BLAS": "Atlas"}},
        {"targets": ["caffe"]},
        {"opencv": False},
        {
            "distributions": {
                **RECIPE["distributions"],
                "debian-12": {"build": ["cmake g++ libgloo-dev"], "run": ["python3-numpy"]},
            }
        },
    ],
)
def test_each_part_of_the_recipe_that_decides_bytes_decides_the_key(
    rewrite: Rewrite, changes: dict[str, Any]
) -> None:
    assert _key(rewrite()) != _key(rewrite(**changes))


@pytest.mark.parametrize(
    "file",
    ["small/one.patch", "small/more.proto", "small/allreduce/native.cpp", "small/allreduce/CMakeLists.txt"],
)
def test_each_file_that_goes_into_the_build_decides_the_key(
    rewrite: Rewrite, recipes: Path, file: str
) -> None:
    before = _key(rewrite())
    (recipes / file).write_text((recipes / file).read_text() + "\n")
    assert _key(rewrite()) != before


def test_a_new_file_of_our_module_decides_the_key(rewrite: Rewrite, recipes: Path) -> None:
    before = _key(rewrite())
    (recipes / "small/allreduce/more.cpp").write_text("")
    assert _key(rewrite()) != before


@pytest.mark.parametrize(
    "facts", [{"compiler": ("g++-12", "12.2.0-15")}, {"compiler": ("g++-13", "12.2.0-14")}, {"arch": "arm64"}]
)
def test_compiler_and_architecture_decide_the_key(rewrite: Rewrite, facts: dict[str, Any]) -> None:
    assert _key(rewrite()) != _key(rewrite(), replace(FACTS, **facts))


def test_the_distribution_decides_the_key_even_with_the_same_packages(rewrite: Rewrite) -> None:
    same = {
        "debian-12": RECIPE["distributions"]["debian-12"],
        "debian-13": RECIPE["distributions"]["debian-12"],
    }
    recipe = rewrite(distributions=same)
    assert _key(recipe) != _key(recipe, replace(FACTS, distribution="debian-13"))


@pytest.mark.parametrize(
    "changes", [{"description": "other words"}, {"core_seconds": 1}, {"tests": []}, {"git": None}]
)
def test_what_does_not_decide_bytes_does_not_decide_the_key(
    rewrite: Rewrite, changes: dict[str, Any]
) -> None:
    one_source = {key: value for key, value in RECIPE["distributions"].items() if key == "debian-12"}
    assert _key(rewrite(distributions=one_source)) == _key(rewrite(distributions=one_source, **changes))


def test_the_size_of_the_head_does_not_decide_the_key(rewrite: Rewrite) -> None:
    assert _key(rewrite()) == _key(rewrite(), replace(FACTS, cores=64, disk_free_mb=1))


KIT = Toolkit("/usr/local/cuda-13.0", "13.0.88")


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        ("debian-12", "8ae18b6f3e692ec31bac"),
        ("ubuntu-22.04", "168be552cab5061673f0"),
        ("ubuntu-24.04", "ea94ea5d2090a23432b4"),
    ],
)
def test_the_cpu_recipes_key_stays_so_that_caches_do(distribution: str, expected: str) -> None:
    """A deliberate change of the build changes this key, and every user compiles once more."""
    recipe = load_recipe("caffe-cpu")
    assert _key(recipe, replace(FACTS, distribution=distribution)) == expected
    assert _key(recipe, replace(FACTS, distribution=distribution, toolkits=(KIT,))) == expected


@pytest.mark.parametrize(
    ("distribution", "expected", "with_a_toolkit"),
    [
        ("debian-12", "56bd0ad13f5ea1d3d227", "a5cdfa36ad246659320f"),
        ("ubuntu-22.04", "a0902339d18d73872020", "a17aac3ab05048ae1e5c"),
        ("ubuntu-24.04", "2e467a74f9fc854eaf37", "575b403e4b2ca329dd47"),
    ],
)
def test_the_cuda_recipes_keys_stay_too(distribution: str, expected: str, with_a_toolkit: str) -> None:
    recipe = load_recipe("caffe-cuda")
    assert _key(recipe, replace(FACTS, distribution=distribution)) == expected
    assert _key(recipe, replace(FACTS, distribution=distribution, toolkits=(KIT,))) == with_a_toolkit


def test_what_cuda_compiles_for_and_with_decides_the_key(rewrite: Rewrite, recipes: Path) -> None:
    recipe = rewrite(**CUDA)
    other = rewrite(**{**CUDA, "cuda": {**CUDA["cuda"], "archs": ["8.6"]}})
    keys = {_key(recipe), _key(other), _key(recipe, replace(FACTS, toolkits=(KIT,)))}
    keys.add(_key(recipe, replace(FACTS, toolkits=(KIT._replace(version="13.0.48"),))))
    (recipes / "small/cuda.txt").write_text("other pins\n")
    keys.add(_key(recipe))
    assert len(keys) == 5


def test_a_toolkit_of_another_version_does_not_decide_the_key(rewrite: Rewrite) -> None:
    old = replace(FACTS, toolkits=(Toolkit("/usr/local/cuda-12.9", "12.9.86"),))
    assert _key(rewrite(**CUDA)) == _key(rewrite(**CUDA), old)


def test_the_inputs_say_what_gpus_it_is_for_and_whose_toolkit_it_was(rewrite: Rewrite) -> None:
    recipe = rewrite(**CUDA)
    assert inputs_of(recipe, FACTS)["cuda"] == {
        "version": "13.0",
        "archs": ["7.5", "9.0"],
        "toolkit": "small/cuda.txt",
    }
    assert inputs_of(recipe, replace(FACTS, toolkits=(KIT,)))["cuda"]["toolkit"] == " ".join(KIT)


def test_nodes_of_another_distribution_than_the_head_are_refused_and_named() -> None:
    require_same_distribution("debian-12", {"w1": "debian-12", "w2": "debian-12"})
    with pytest.raises(ConfigError) as error:
        require_same_distribution("debian-12", {"w1": "debian-12", "w2": "ubuntu-22.04"})
    assert str(error.value).startswith(
        "head is debian-12, w2 is ubuntu-22.04: what is compiled on one does not run on the other. Give "
    )


def _node(tmp_path: Path, installed: str, candidate: str) -> LocalNode:
    node = LocalNode(tmp_path)
    node.fake("dpkg", "echo amd64")
    node.fake("dpkg-query", f'[ -n "{installed}" ] || exit 1; echo "installed {installed}"')
    node.fake(
        "apt-cache",
        f"""[ -n "{candidate}" ] || exit 0
case $1 in
depends) printf 'g++\\n  Depends: cpp\\n  Depends: g++-12\\n  Depends: gcc-12\\n';;
policy) printf 'g++-12:\\n  Installed: (none)\\n  Candidate: {candidate}\\n  Version table:\\n';;
esac""",
    )
    node.fake("apt-get", "exit 0")
    node.fake("mkdir", "exit 0")
    node.fake("df", "printf 'x\\nx 1 2 12345 4 5\\n'")
    return node


@pytest.mark.parametrize(("installed", "want"), [("", "12.2.0-14+deb12u1"), ("12.2.0-14", "12.2.0-14")])
def test_the_compiler_is_the_installed_one_or_else_what_apt_would_install(
    tmp_path: Path, installed: str, want: str
) -> None:
    facts = read_facts(_node(tmp_path, installed, "12.2.0-14+deb12u1"))
    assert facts.compiler == ("g++-12", want)
    assert (facts.arch, facts.disk_free_mb) == ("amd64", 12345)


def test_the_compiler_of_the_installed_package_needs_no_look_at_apts_lists(tmp_path: Path) -> None:
    node = _node(tmp_path, "12.2.0-14", "")
    node.fake(
        "dpkg-query",
        """case $* in
*Depends*g++) echo "installed cpp (= 4:12.2.0-3), gcc (= 4:12.2.0-3), g++-12 (>= 12.2.0-1~), gcc-12 (>= 12)";;
*g++-12) echo "installed 12.2.0-14";;
esac""",
    )

    assert read_facts(node, update=False).compiler == ("g++-12", "12.2.0-14")


def test_toolkits_that_the_head_has_are_read_if_they_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ("bin/nvcc", "include/cublas_v2.h", "include/curand.h", "include/nccl.h", "lib/libnccl.so")
    for name, files in {"cuda-12.9": whole, "cuda-13.0": whole, "cuda-13.2": whole[:3]}.items():
        for file in (tmp_path / name / each for each in files):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {name[5:]}, V{name[5:]}.88'\n")
            file.chmod(0o755)
    monkeypatch.setattr(key, "TOOLKITS", f"{tmp_path}/cuda-*")
    (tmp_path / "node").mkdir()
    facts = read_facts(_node(tmp_path / "node", "12.2.0-14", "12.2.0-14"))
    assert facts.toolkits == (
        Toolkit(f"{tmp_path}/cuda-12.9", "12.9.88"),
        Toolkit(f"{tmp_path}/cuda-13.0", "13.0.88"),
    )


def test_a_head_without_any_toolkit_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key, "TOOLKITS", f"{tmp_path}/cuda-*")
    assert read_facts(_node(tmp_path, "12.2.0-14", "12.2.0-14")).toolkits == ()


def test_a_head_that_can_have_no_compiler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no package g"):
        read_facts(_node(tmp_path, "", ""))
