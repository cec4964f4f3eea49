"""Packages that a distribution lacks: refusals, order of steps, key."""

from __future__ import annotations

import copy
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from bootstrap import paths
from bootstrap.errors import ConfigError
from bootstrap.framework import build, steps
from bootstrap.framework.key import inputs_of, key_of
from bootstrap.framework.recipe import Recipe, load_recipe
from tests.bootstrap.framework.conftest import CUDA, FACTS, RECIPE

Rewrite = Callable[..., Recipe]

TARBALL: dict[str, Any] = {
    "name": "one",
    "licence": "BSL-1.0",
    "licence_file": "one-1/LICENSE",
    "url": "https://one.example/one-1.tar.bz2",
    "sha256": "e" * 64,
    "folder": "one-1",
    "commands": ['./install "$PREFIX"'],
    "creates": "lib/libone.so",
    "core_seconds": 30,
}
COMMIT: dict[str, Any] = {
    "name": "two",
    "licence": "MIT",
    "git": {"repo": "https://git.example/two.git", "rev": "f" * 40},
    "commands": ['make -j"$JOBS" PYTHON="$PYTHON" install'],
    "creates": "lib/libtwo.so",
    "core_seconds": 20,
}


def lacking(rewrite: Rewrite, *entries: dict[str, Any], **there: Any) -> Recipe:
    """`small` with entries, and with more about Debian 12."""
    distributions = copy.deepcopy(RECIPE["distributions"])
    distributions["debian-12"] |= {"from_source": list(entries), **there}
    return rewrite(distributions=distributions)


def planned_by_name(recipe: Recipe, folder: str = "/f") -> dict[str, Any]:
    """The steps on Debian 12."""
    return {step.name: step for step in steps.steps(recipe, "debian-12", FACTS.compiler, folder)}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"git": COMMIT["git"]}, "exactly one of url, git"),
        ({"url": None, "sha256": None}, "exactly one of url, git"),
        ({"sha256": None}, "url and sha256 belong together"),
        ({"sha256": "abc"}, "sha256"),
        ({"url": "ftp://one.example/one.tar"}, "url"),
        ({"url": "https://one.example/$(id)'"}, "url"),
        ({"name": "One/.."}, "name"),
        ({"folder": "../../etc"}, "is not a valid relative path"),
        ({"folder": "/etc"}, "is not a valid relative path"),
        ({"creates": "lib/$(id)"}, "is not a valid relative path"),
        ({"licence_file": "a b"}, "is not a valid relative path"),
        ({"licence": None}, "licence"),
        ({"commands": []}, "commands"),
        ({"core_seconds": 0}, "core_seconds"),
        ({"branch": "main"}, "Extra inputs"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(rewrite: Rewrite, entry: dict[str, Any], why: str) -> None:
    given = {key: value for key, value in (TARBALL | entry).items() if value is not None}
    with pytest.raises(ConfigError) as error:
        lacking(rewrite, given)
    assert why in str(error.value)
    assert "small.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ({"from_source": [TARBALL, TARBALL]}, "a name is there twice among one, one"),
        ({"python": "python3.8"}, "python"),
        ({"python": "/usr/bin/python; id"}, "python"),
        ({"devices": []}, "devices"),
        ({"devices": ["tpu"]}, "devices"),
        ({"patches": ["small/none.patch"]}, "there is no file"),
        ({"wheels": "small/none.txt"}, "there is no file"),
        ({"cmake": {"A B": "x"}}, "not a valid CMake variable"),
        ({"cmake": {"USE_OPENCV": True}}, "setting `opencv`"),
    ],
)
def test_a_distribution_that_cannot_be_is_refused(rewrite: Rewrite, there: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as error:
        lacking(rewrite, **there)
    assert why in str(error.value)


def test_each_entry_is_fetched_and_built_in_order_before_caffe_is_configured(rewrite: Rewrite) -> None:
    names = list(planned_by_name(lacking(rewrite, TARBALL, COMMIT, wheels="small/cuda.txt")))
    assert names == [
        "Install build dependencies",
        "Check the compiler",
        *("Fetch one", "Build one", "Fetch two", "Build two"),
        "Fetch Python packages",
        *("Fetch the source", "Patch", "Configure", "Compile", "Pack"),
    ]


def test_a_tarball_has_its_sum_and_a_commit_its_name(rewrite: Rewrite) -> None:
    planned = planned_by_name(lacking(rewrite, TARBALL, COMMIT))
    assert planned["Fetch one"].archive.sha256 == "e" * 64
    assert "https://one.example/one-1.tar.bz2" in planned["Fetch one"].archive.fetch
    assert planned["Fetch two"].git.rev == "f" * 40
    assert planned["Build one"].build.dir == "/f/from-source/src/one/one-1"
    assert planned["Build two"].build.dir == "/f/from-source/src/two"


def test_caffe_is_configured_and_packed_with_what_was_built(rewrite: Rewrite) -> None:
    recipe = lacking(rewrite, TARBALL, cmake={"BLAS": "Atlas", "Boost_NO_BOOST_CMAKE": True})
    planned = planned_by_name(recipe)
    configure = planned["Configure"].build.commands[2]
    assert "-DCMAKE_PREFIX_PATH=/f/from-source/prefix" in configure
    assert "-DBLAS=Atlas" in configure
    assert "-DBoost_NO_BOOST_CMAKE=ON" in configure
    assert planned["Pack"].command.run == (
        "python3 /f/inputs/assemble_built.py /f/work /f/out /f/from-source/prefix python3-numpy"
    )
    assert list(steps.programs(recipe, "debian-12")) == ["packing.py", "assemble_built.py"]
    assert list(steps.programs(recipe, "ubuntu-22.04")) == ["packing.py", "assemble.py"]


def test_a_python_of_its_own_is_the_one_that_configures_packs_and_tests(rewrite: Rewrite) -> None:
    recipe = lacking(rewrite, TARBALL, python="/opt/py38/bin/python")
    planned = planned_by_name(recipe)
    configure = "\n".join(planned["Configure"].build.commands)
    assert "include=$(/opt/py38/bin/python -c" in configure
    assert "-DPYTHON_EXECUTABLE=/opt/py38/bin/python" in configure
    assert planned["Pack"].command.run.startswith("/opt/py38/bin/python /f/inputs/assemble_built.py ")
    assert "export PREFIX=/f/from-source/prefix PYTHON=/opt/py38/bin/python" in (
        planned["Build one"].build.commands
    )
    test = steps.test_step(recipe, "debian-12", "/f").build
    assert test is not None
    assert "/opt/py38/bin/python small/works.py" in test.commands
    elsewhere = steps.test_step(recipe, "ubuntu-22.04", "/f").build
    assert elsewhere is not None
    assert "python3 -S small/works.py" in elsewhere.commands
    assert paths.SYSTEM_PACKAGES in elsewhere.commands[0]
    assert paths.SYSTEM_PACKAGES not in test.commands[0]
    assert paths.SYSTEM_PACKAGES not in build.script(recipe, FACTS, "/f")


def test_only_programs_are_linked_against_such_a_pythons_library(rewrite: Rewrite) -> None:
    """A module with a library of Python's would bring a second Python into the first one."""
    recipe = lacking(
        rewrite, python="/opt/py38/bin/python", cmake={"CMAKE_EXE_LINKER_FLAGS": "-Wl,--as-needed"}
    )
    configure = next(c for c in planned_by_name(recipe)["Configure"].build.commands if c.startswith("cmake"))
    assert "-DPYTHON_LIBRARY:STRING=c " in configure
    assert configure.count("CMAKE_EXE_LINKER_FLAGS") == 1
    assert "FLAGS=-Wl,--as-needed -Wl,--push-state,--no-as-needed $library -Wl,--pop-state" in configure


def test_patches_of_the_distributions_own_stand_in_for_the_recipes(rewrite: Rewrite) -> None:
    recipe = lacking(rewrite, patches=[])
    assert "small/one.patch" not in planned_by_name(recipe)["Patch"].command.run
    assert "small/one.patch" not in recipe.inputs("debian-12")
    assert "small/one.patch" in recipe.inputs("ubuntu-22.04")


def test_a_device_that_cannot_be_compiled_for_there_is_refused(rewrite: Rewrite) -> None:
    distributions = {"debian-12": RECIPE["distributions"]["debian-12"] | {"devices": ["cpu"]}}
    recipe = rewrite(**CUDA, distributions=distributions)
    with pytest.raises(
        ConfigError, match=r"on debian-12: it compiles for cuda, and there it can be cpu only"
    ):
        inputs_of(recipe, FACTS)


def test_nothing_packs_a_gpus_libraries_and_such_as_were_built(rewrite: Rewrite) -> None:
    distributions = {"debian-12": RECIPE["distributions"]["debian-12"] | {"from_source": [TARBALL]}}
    with pytest.raises(ConfigError, match=r"distributions.debian-12: .* goes with devices \[cpu\] only"):
        rewrite(**CUDA, distributions=distributions)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "d" * 64},
        {"url": "https://other.example/one-1.tar.bz2"},
        {"commands": ["./install -v"]},
        {"folder": "."},
        {"creates": "lib/libone.so.1"},
        {"licence_file": "one-1/COPYING"},
    ],
)
def test_each_part_of_an_entry_that_decides_bytes_decides_the_key(
    rewrite: Rewrite, changes: dict[str, Any]
) -> None:
    before = key_of(inputs_of(lacking(rewrite, TARBALL), FACTS))
    assert key_of(inputs_of(lacking(rewrite, TARBALL | changes), FACTS)) != before


def test_the_wheels_and_another_python_decide_the_key(rewrite: Rewrite, recipes: Path) -> None:
    keys = {
        key_of(inputs_of(lacking(rewrite, python=python), FACTS)) for python in ("/a/python", "/b/python")
    }
    keys.add(key_of(inputs_of(lacking(rewrite, wheels="small/cuda.txt"), FACTS)))
    (recipes / "small/cuda.txt").write_text("other pins\n")
    keys.add(key_of(inputs_of(lacking(rewrite, wheels="small/cuda.txt"), FACTS)))
    assert len(keys) == 4


def test_words_for_people_and_estimates_do_not_decide_the_key(rewrite: Rewrite) -> None:
    before = key_of(inputs_of(lacking(rewrite, TARBALL), FACTS))
    changed = TARBALL | {"licence": "other words", "core_seconds": 1}
    assert key_of(inputs_of(lacking(rewrite, changed), FACTS)) == before


def test_what_one_distribution_lacks_does_not_decide_the_keys_of_others(rewrite: Rewrite) -> None:
    before = key_of(inputs_of(rewrite(), FACTS))
    distributions = RECIPE["distributions"] | {
        "old-1": {
            "build": ["g++"],
            "from_source": [TARBALL],
            "wheels": "small/cuda.txt",
            "python": "/x/python",
            "patches": [],
        }
    }
    assert key_of(inputs_of(rewrite(distributions=distributions), FACTS)) == before


def test_hdinsights_image_gets_what_it_lacks() -> None:
    recipe = load_recipe("caffe-cpu")
    there = recipe.on("ubuntu-18.04")
    assert [entry.name for entry in there.from_source] == ["boost"]
    assert all(entry.licence_file for entry in there.from_source)
    assert "caffe/patches/protobuf-total-bytes-limit.patch" not in recipe.patches_on("ubuntu-18.04")
    assert "caffe/python-3.8.txt" in recipe.inputs("ubuntu-18.04")
    with pytest.raises(ConfigError, match="compiles for cuda, and there it can be cpu only"):
        load_recipe("caffe-cuda").on("ubuntu-18.04")


def test_every_python_package_is_pinned_by_version_and_sum() -> None:
    text = (load_recipe("caffe-cpu").folder / "caffe/python-3.8.txt").read_text().replace("\\\n", "")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert [line[0] for line in lines] == ["protobuf==5.29.6", "six==1.17.0"]
    assert all(len(line) == 2 and line[1].startswith("--hash=sha256:") for line in lines)


def test_messages_of_an_old_compiler_fit_todays_protobuf(tmp_path: Path) -> None:
    """As HDInsight's image builds them: Python that its protoc 3.0 writes is refused by this protobuf."""
    recipe, name = load_recipe("caffe-cpu"), "caffe/patches/protobuf-python-5.patch"
    assert name in recipe.patches_on("ubuntu-18.04")
    patch = recipe.folder / name
    text = patch.read_text().partition("+++ b/scripts/descriptor_to_python.py\n")[2]
    lines = [line[1:] for line in text.splitlines() if line.startswith("+")]
    script, descriptors, module = (tmp_path / name for name in ("script.py", "net.pb", "net_pb2.py"))
    script.write_text("\n".join(lines) + "\n")

    net = descriptor_pb2.FileDescriptorProto(name="made/for/this/net.proto", package="net", syntax="proto2")
    layer = net.message_type.add(name="Layer")
    field = layer.field.add(name="outputs", number=1, label=1, type=13)
    phase = layer.enum_type.add(name="Phase")
    phase.value.add(name="TRAIN", number=0)
    # Long enough for a length of more than one byte.
    field.json_name = "o" * 300

    def written(*files: descriptor_pb2.FileDescriptorProto) -> subprocess.CompletedProcess[str]:
        descriptors.write_bytes(descriptor_pb2.FileDescriptorSet(file=files).SerializeToString())
        command = [sys.executable, str(script), str(descriptors), str(module)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "exactly one file" in written(net, net).stderr
    assert written(net).returncode == 0
    found = runpy.run_path(str(module), run_name="net_pb2")
    message = found["Layer"](outputs=10)
    assert found["Layer"].FromString(message.SerializeToString()) == message
    assert found["Layer"].TRAIN == 0
