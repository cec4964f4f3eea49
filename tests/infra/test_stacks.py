"""Every stack file of the project parses, and Pulumi.yaml declares exactly the keys that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.config import LocalConfig, load

ROOT = Path(__file__).resolve().parents[2]


def as_engine_hands_over(config: dict[str, Any]) -> dict[str, str]:
    return {
        key: json.dumps(value) if isinstance(value, dict | list) else str(value)
        for key, value in config.items()
    }


@pytest.mark.parametrize("file", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda file: file.name)
def test_a_stack_file_parses(file: Path) -> None:
    config = yaml.safe_load(file.read_text())["config"]
    assert load(as_engine_hands_over(config), file.name.split(".")[1])


def test_dev_is_there_and_local() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    assert load(as_engine_hands_over(config), "dev").provider == "local"


def test_the_defaults_of_the_project_file_are_those_of_the_model() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    defaults = {f"caffe-spark:{key}": entry["default"] for key, entry in declared.items()}
    assert load(as_engine_hands_over(defaults), "dev") == LocalConfig()
    assert set(declared) == {field.alias for field in LocalConfig.model_fields.values()}
