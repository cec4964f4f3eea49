"""Workers with GPUs train on them, or the stack says that they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.aws.preflight.training import checks
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import STACK, config

ROOT = Path(__file__).resolve().parents[4]


def asked(root: Path = ROOT, env: dict[str, str] | None = None, **values: Any) -> Finding:
    (check,) = checks(config(**values), STACK, root, env or {})
    (found,) = check.ask()
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    recipes = tmp_path / "bootstrap" / "recipes"
    recipes.mkdir(parents=True)
    (recipes / "caffe-cpu.yaml").write_text("name: caffe-cpu\ndevice: cpu\n")
    (recipes / "caffe-cuda.yaml").write_text("extends: caffe-cpu\nname: caffe-cuda\ndevice: cuda\n")
    (recipes / "ours.yaml").write_text("extends: caffe-cpu\nname: ours\n")
    (recipes / "round.yaml").write_text("extends: round\nname: round\n")
    return tmp_path


def settings(project: Path, recipe: str) -> Path:
    (project / "fabric.yaml").write_text(f"framework:\n  recipe: {recipe}\n")
    return project


def test_the_projects_settings_train_on_the_gpus() -> None:
    found = asked()
    assert found.verdict == "passed"
    assert found.detail == "on the workers' GPUs (T4, A10G), by recipe auto of fabric.yaml"


def test_a_stack_without_gpus_has_nothing_to_check() -> None:
    assert checks(config(instanceTypes=["c6i.xlarge"]), STACK, ROOT, {}) == []


@pytest.mark.parametrize("recipe", ["caffe-cpu", "ours"])
def test_a_recipe_for_cpus_is_refused(recipe: str, project: Path) -> None:
    found = asked(settings(project, recipe))
    assert found.failed
    assert found.detail == (
        f"recipe {recipe} of fabric.yaml compiles for CPUs: the workers' GPUs (T4, A10G) are billed and stay "
        "idle, and `fab build-headnode` refuses that"
    )
    assert "`pulumi config set cpuTraining true --stack test`" in found.fix


def test_a_recipe_for_cpus_may_be_allowed_and_is_still_told(project: Path) -> None:
    found = asked(settings(project, "caffe-cpu"), cpuTraining=True)
    assert found.verdict == "note"
    assert found.detail.endswith("are billed and stay idle; cpuTraining allows it")


def test_the_environments_recipe_counts_before_the_files(project: Path) -> None:
    variable = {"FABRIC_FRAMEWORK_RECIPE": "caffe-cpu"}
    assert asked(settings(project, "auto"), variable).failed
    assert (
        asked(settings(project, "caffe-cpu"), {"FABRIC_FRAMEWORK_RECIPE": "caffe-cuda"}).verdict == "passed"
    )


@pytest.mark.parametrize("recipe", ["nowhere", "round", "../caffe-cpu", "''"])
def test_a_recipe_that_cannot_be_read_is_one_line(recipe: str, project: Path) -> None:
    found = asked(settings(project, recipe))
    assert found.failed
    assert "\n" not in found.detail + found.fix


def test_settings_that_say_nothing_are_the_projects(project: Path) -> None:
    (project / "fabric.yaml").write_text("# nothing\n")
    assert asked(project).verdict == "passed"


def test_settings_that_are_no_yaml_are_one_line(project: Path) -> None:
    (project / "fabric.yaml").write_text("framework: [")
    found = asked(project)
    assert found.failed
    assert "\n" not in found.detail
