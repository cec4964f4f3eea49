"""Recipes: what is read, and what is refused before anything happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import ConfigError
from bootstrap.framework.distribution import GitCommit
from bootstrap.framework.recipe import (
    DebianPackage,
    Recipe,
    for_cluster,
    load_recipe,
    recipe_for,
    require_devices,
)
from tests.bootstrap.framework.conftest import CUDA, RECIPE

Rewrite = Callable[..., Recipe]


@pytest.mark.parametrize("name", ["caffe-cpu", "caffe-cuda"])
def test_the_projects_own_recipes_are_valid_and_know_their_distributions(name: str) -> None:
    assert set(load_recipe(name).distributions) == {
        "debian-12",
        "ubuntu-18.04",
        "ubuntu-22.04",
        "ubuntu-24.04",
    }


def test_the_source_depends_on_the_distribution(rewrite: Rewrite) -> None:
    recipe = rewrite()
    assert isinstance(recipe.source_on("debian-12"), DebianPackage)
    assert isinstance(recipe.source_on("ubuntu-22.04"), GitCommit)


def test_a_source_that_the_user_names_counts_everywhere(rewrite: Rewrite) -> None:
    recipe = rewrite({"source": "debian"})
    assert isinstance(recipe.source_on("ubuntu-22.04"), DebianPackage)


def test_a_recipe_that_extends_another_changes_what_it_names(recipes: Path) -> None:
    (recipes / "other.yaml").write_text(
        "extends: small\nname: other\ncmake: {BLAS: Atlas}\ntargets: [caffe]\n"
    )
    other = load_recipe("other", None, recipes)
    assert (other.cmake, other.targets, other.debian) == (
        {"CPU_ONLY": True, "BLAS": "Atlas"},
        ["caffe"],
        load_recipe("small", None, recipes).debian,
    )


def test_the_first_test_is_the_one_that_every_node_runs(rewrite: Rewrite) -> None:
    assert rewrite().node_test == "print('works')\n"
    assert rewrite(tests=[]).node_test == "import caffe\n"
    for name in ("caffe-cpu", "caffe-cuda"):
        # It is shipped in a script, and takes no longer than a machine that joins may.
        text = load_recipe(name).node_test
        assert "import caffe_allreduce" in text
        assert text.isascii()


def test_a_circle_of_recipes_is_refused(recipes: Path) -> None:
    (recipes / "a.yaml").write_text("extends: b\n")
    (recipes / "b.yaml").write_text("extends: a\n")
    with pytest.raises(ConfigError, match="not the name of another recipe"):
        load_recipe("a", None, recipes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"source": "svn"}, "source: Input should be 'debian' or 'git'"),
        ({"git": None}, "no section `git`"),
        ({"debian": {**RECIPE["debian"], "orig_sha256": "abc"}}, "orig_sha256"),
        ({"git": {"repo": "x", "rev": "master"}}, "git.rev"),
        ({"patches": ["small/none.patch"]}, "there is no file"),
        ({"modules": ["small"]}, "CMakeLists.txt"),
        ({"targets": []}, "targets"),
        ({"targets": ["caffe; rm -rf /"]}, "not a valid target"),
        ({"cmake": {"A B": "x"}}, "not a valid CMake variable"),
        ({"cmake": {"CPU_ONLY": True, "USE_OPENCV": False}}, "setting `opencv`"),
        ({"cmake": {"CPU_ONLY": False}}, "contradicts CMake's CPU_ONLY"),
        ({"device": "cuda"}, "belong together"),
        ({**CUDA, "cuda": {**CUDA["cuda"], "wheels": "small/none.txt"}}, "there is no file"),
        ({**CUDA, "cuda": {**CUDA["cuda"], "archs": ["7.0", "8.0"]}}, "CUDA 13.0 does not compile for 7.0"),
        ({**CUDA, "cuda": {**CUDA["cuda"], "archs": ["sm_80"]}}, "cuda.archs"),
        ({**CUDA, "cuda": {**CUDA["cuda"], "archs": []}}, "cuda.archs"),
        ({"proto": {"file": "x", "fields": {"M": ["string x"]}}}, "is not a valid field"),
        ({"core_seconds": 0}, "core_seconds"),
        ({"distributions": {}}, "distributions"),
        ({"opencv": "perhaps"}, "opencv"),
    ],
)
def test_what_cannot_be_is_refused_with_file_and_field(
    rewrite: Rewrite, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError) as error:
        rewrite(**changes)
    assert why in str(error.value)
    assert "small.yaml" in str(error.value)


@pytest.mark.parametrize("overrides", [{"cmake": {}}, {"opencv": "perhaps"}, {"source": "svn"}])
def test_only_sensible_settings_can_be_overridden(rewrite: Rewrite, overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        rewrite(overrides)


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'cafe': there are: caffe-cpu, caffe-cuda"):
        load_recipe("cafe")


def test_text_that_is_no_yaml_is_refused(recipes: Path) -> None:
    (recipes / "small.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_recipe("small", None, recipes)


def test_an_unknown_distribution_is_refused(rewrite: Rewrite) -> None:
    with pytest.raises(ConfigError, match=r"on fedora-40: it knows the packages of debian-12, ubuntu-22.04"):
        rewrite().on("fedora-40")


def test_a_recipe_for_gpus_is_refused_on_a_cluster_without_any(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"compiles for GPUs, and the workers of stack 'dev' have none"):
        require_devices(load_recipe("caffe-cuda"), cluster)
    require_devices(load_recipe("caffe-cpu"), cluster)


def test_a_recipe_for_cpus_is_refused_where_gpus_would_stay_idle_unless_the_stack_allows_it(
    cluster: Cluster,
) -> None:
    idle = _with_gpus(cluster, "7.5")
    with pytest.raises(ConfigError, match=r"have GPUs, which would be billed and stay idle") as refused:
        require_devices(load_recipe("caffe-cpu"), idle)
    assert "`pulumi config set cpuTraining true --stack dev`, then `pulumi up`" in refused.value.fix
    allowed = idle.model_copy(update={"worker": idle.worker.model_copy(update={"cpu_training": True})})
    require_devices(load_recipe("caffe-cpu"), allowed)


def _with_gpus(cluster: Cluster, *capabilities: str) -> Cluster:
    worker = cluster.worker.model_copy(update={"gpus": 1, "compute_capabilities": capabilities})
    return cluster.model_copy(update={"worker": worker})


def test_the_recipe_is_the_one_for_the_workers(cluster: Cluster) -> None:
    for known in (cluster, _with_gpus(cluster, "7.5")):
        require_devices(load_recipe(recipe_for(known)), known)
    assert recipe_for(cluster) != recipe_for(_with_gpus(cluster, "7.5"))


def test_it_is_compiled_for_the_gpus_that_the_clusters_workers_may_have(
    rewrite: Rewrite, cluster: Cluster
) -> None:
    fitted = for_cluster(rewrite(**CUDA), _with_gpus(cluster, "10.0", "8.6", "7.5", "8.6"))
    assert fitted.cuda is not None
    assert fitted.cuda.archs == ["7.5", "8.6", "10.0"]


def test_a_cluster_that_does_not_name_its_gpus_gets_the_recipe_as_it_is(
    rewrite: Rewrite, cluster: Cluster
) -> None:
    recipe = rewrite(**CUDA)
    assert for_cluster(recipe, _with_gpus(cluster)) == recipe


def test_a_recipe_for_cpus_is_the_same_on_a_cluster_with_gpus(rewrite: Rewrite, cluster: Cluster) -> None:
    recipe = rewrite()
    assert for_cluster(recipe, _with_gpus(cluster, "7.0")) == recipe


@pytest.mark.parametrize("capability", ["7.0", "3.5", "12.2", "13.0"])
def test_gpus_that_this_cuda_cannot_compile_for_are_refused_and_named(
    cluster: Cluster, capability: str
) -> None:
    with pytest.raises(ConfigError) as error:
        for_cluster(load_recipe("caffe-cuda"), _with_gpus(cluster, "8.6", capability))
    assert f"compute capability {capability}: CUDA 13.0" in str(error.value)
    assert "compiles for 7.5 to 12.1" in str(error.value)
    assert "pulumi config set instanceTypes" in str(error.value)


def test_every_wheel_of_the_cuda_toolkit_is_pinned_by_version_and_sum() -> None:
    recipe = load_recipe("caffe-cuda")
    assert recipe.cuda is not None
    text = recipe.inputs()[recipe.cuda.wheels].read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 8
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+ +--hash=sha256:[0-9a-f]{64}", line), line
