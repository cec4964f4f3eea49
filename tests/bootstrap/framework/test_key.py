"""The key changes with everything that decides the artefact's bytes, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.errors import BuildError
from bootstrap.framework.key import inputs_of, key_of, read_facts
from bootstrap.framework.recipe import Recipe
from tests.bootstrap.framework.conftest import FACTS, RECIPE
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


def test_a_head_that_can_have_no_compiler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no package g"):
        read_facts(_node(tmp_path, "", ""))
