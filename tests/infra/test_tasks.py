"""Which stack the commands of infra are about, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import ConfigError
from infra.aws.settings.config import AwsConfig
from infra.azure.settings.config import AzureConfig
from infra.registry import PROVIDERS
from infra.tasks import configured
from tests.infra.recorder import ROOT

IN_CLOUDS = r"runs on this machine.*aws-eu-west-1, azure-west-europe"


def test_a_stacks_file_says_what_it_is() -> None:
    assert isinstance(configured(ROOT, "aws-eu-west-1", {})[1], AwsConfig)
    name, config = configured(ROOT, "azure-west-europe", {})
    assert (name, type(config)) == ("azure-west-europe", AzureConfig)


@pytest.mark.parametrize("command", ["preflight", "cost"])
def test_a_stack_on_this_machine_says_itself_that_it_has_neither(command: str, tmp_path: Path) -> None:
    name, config = configured(ROOT, "dev", {})
    more = {"env": {}} if command == "preflight" else {"results": tmp_path, "refresh": False}
    with pytest.raises(ConfigError, match=IN_CLOUDS):
        getattr(PROVIDERS[config.provider], command)(config, name, root=ROOT, console=None, **more)
