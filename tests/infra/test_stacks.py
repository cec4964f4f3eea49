"""Every stack file of the project parses, and Pulumi.yaml declares what all providers share, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infra.aws.settings.config import AwsConfig
from infra.azure.settings.config import AzureConfig
from infra.config import from_file
from infra.local.settings.config import LocalConfig
from infra.settings.section import Section

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob("Pulumi.*.yaml"))
SECTIONS: list[type[Section]] = [LocalConfig, AwsConfig, AzureConfig]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_stack_file_parses(file: Path) -> None:
    from_file(file, file.name.split(".")[1])


def test_dev_is_there_and_local() -> None:
    assert from_file(ROOT / "Pulumi.dev.yaml", "dev") == LocalConfig()


def test_the_stack_on_aws_says_nothing_but_defaults_and_its_region() -> None:
    config = from_file(ROOT / "Pulumi.aws-eu-west-1.yaml", "aws-eu-west-1")
    assert config == AwsConfig.model_validate({"region": "eu-west-1"})


def test_the_stack_on_azure_says_its_region_its_operator_and_three_workers() -> None:
    config = from_file(ROOT / "Pulumi.azure-west-europe.yaml", "azure-west-europe")
    said = {"region": "westeurope", "adminCidrs": ["203.0.113.7/32"], "workers": 3}
    assert config == AzureConfig.model_validate(said)


@pytest.mark.parametrize("section", SECTIONS)
def test_what_the_project_file_declares_every_provider_has_with_that_default(section: type[Section]) -> None:
    """Its defaults reach every stack: a key that one provider lacks would be refused there."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(declared) == {"provider", "workers"}
    defaults = {field.alias: field.default for field in section.model_fields.values()}
    assert set(declared) <= set(defaults)
    assert declared["workers"]["default"] == defaults["workers"]
    assert declared["provider"]["default"] == LocalConfig.model_fields["provider"].default
