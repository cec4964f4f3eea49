"""Check that workers with GPUs will train on them: the recipe that `fab build-headnode` takes by default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from bootstrap import strict_yaml
from bootstrap.errors import ConfigError
from infra.preflight.finding import Finding, LocalCheck

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

NAME: Final = "training"
SETTINGS: Final = "fabric.yaml"
RECIPES: Final = Path("bootstrap/recipes")
VARIABLE: Final = "FABRIC_FRAMEWORK_RECIPE"
"""Environment variable that overrides the recipe of SETTINGS, as Fabric names it."""
AUTO: Final = "auto"
"""Recipe of SETTINGS: caffe-cuda where workers have GPUs."""
CPU: Final = "cpu"


def checks(config: AwsConfig, stack: str, root: Path, env: Mapping[str, str]) -> list[LocalCheck]:
    """Return the check, for a stack whose workers have GPUs; `root` is the project's folder."""
    return [LocalCheck(NAME, lambda: _training(config, stack, root, env))] if config.gpus else []


def _training(config: AwsConfig, stack: str, root: Path, env: Mapping[str, str]) -> Finding:
    gpus = ", ".join(dict.fromkeys(kind.gpu for kind in config.types))
    recipe, where = _recipe(root, env)
    if recipe == AUTO or device(root / RECIPES, recipe) != CPU:
        return Finding(NAME, "passed", f"on the workers' GPUs ({gpus}), by recipe {recipe} of {where}")
    idle = (
        f"recipe {recipe} of {where} compiles for CPUs: the workers' GPUs ({gpus}) are billed and stay idle"
    )
    if config.cpu_training:
        return Finding(NAME, "note", f"{idle}; cpuTraining allows it")
    return Finding(
        NAME,
        "failed",
        f"{idle}, and `fab build-headnode` refuses that",
        f"Set the recipe of {where} to {AUTO}; or use instanceTypes without GPUs; or allow it: "
        f"`pulumi config set cpuTraining true --stack {stack}`.",
    )


def _recipe(root: Path, env: Mapping[str, str]) -> tuple[str, str]:
    """Return the recipe, and where it is set."""
    if env.get(VARIABLE):
        return env[VARIABLE], VARIABLE
    framework = _read(root / SETTINGS).get("framework")
    recipe = framework.get("recipe", AUTO) if isinstance(framework, dict) else AUTO
    return str(recipe), SETTINGS


def device(recipes: Path, name: str) -> str:
    """Return the device of a recipe, or of the one it extends.

    Raises:
        ConfigError: a recipe cannot be read, or extends itself.
    """
    seen: list[str] = []
    while name not in seen:
        seen.append(name)
        document = _read(recipes / f"{name}.yaml")
        if "device" in document:
            return str(document["device"])
        name = str(document.get("extends", ""))
    raise ConfigError(
        f"recipe {seen[0]!r}", f"{' → '.join([*seen, name])}: it extends itself", "Fix the file."
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        document = strict_yaml.load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        why = strict_yaml.reason(error) if isinstance(error, yaml.YAMLError) else str(error.strerror or error)
        raise ConfigError(str(file), why, f"Set the recipe in {SETTINGS}, or fix the file.") from error
    return document if isinstance(document, dict) else {}
