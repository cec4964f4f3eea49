"""Every line of the registry is a package with the same exports, imported when it is used and no sooner."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from infra import registry
from infra.registry import PROVIDERS, Provider
from infra.settings.section import StackSettings

EXPORTS = {
    "program": registry.Program,
    "preflight": registry.Preflight,
    "cost": registry.Cost,
    "sweep": registry.Sweep,
    "offers": registry.Offers,
}


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda provider: provider.name)
@pytest.mark.parametrize("export", EXPORTS)
def test_a_provider_exports_what_the_commands_call(provider: Provider, export: str) -> None:
    function = getattr(provider, export)
    wanted = inspect.signature(EXPORTS[export].__call__).parameters
    keywords = [name for name, one in wanted.items() if one.kind is one.KEYWORD_ONLY]
    positional = [None] * (len(wanted) - len(keywords) - 1)
    inspect.signature(function).bind(*positional, **dict.fromkeys(keywords))


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda provider: provider.name)
def test_a_providers_settings_are_told_apart_by_its_name(provider: Provider) -> None:
    assert issubclass(provider.settings, StackSettings)
    assert provider.settings.model_fields["provider"].default == provider.name


def test_every_folder_with_a_program_has_its_line() -> None:
    folders = {file.parent.name for file in Path(registry.__file__).parent.glob("*/program.py")}
    assert folders == set(PROVIDERS)


def test_a_region_is_in_one_providers_table() -> None:
    names = [region for provider in PROVIDERS.values() for region in provider.regions]
    assert len(names) == len(set(names))
    assert "westeurope" in PROVIDERS["azure"].regions


def test_nothing_of_a_provider_is_imported_before_it_is_used() -> None:
    program = (
        "import sys; from infra.registry import PROVIDERS; PROVIDERS['aws'].settings; "
        "unused = ('boto', 'azure', 'infra.azure', 'infra.local', 'pulumi'); "
        "print([name for name in sys.modules if name.startswith(unused)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
