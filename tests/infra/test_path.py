"""Pulumi's ways of running the program and its providers, and which `azure` is found in each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INFRA = Path(__file__).resolve().parents[2] / "infra"
SDK = "from importlib.util import find_spec; print(find_spec('azure.storage.blob').origin)"
"""Finds the SDK as an import does, without the half second that importing it takes."""


def python(*words: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("entry", [str(INFRA), f"{INFRA}/", "."])
def test_the_program_finds_azures_sdk_beside_a_folder_of_that_name(entry: str) -> None:
    """As the language host does: the program's folder first on the path, and the current one."""
    lines = f"import sys; sys.path.insert(0, {entry!r}); from infra import config; {SDK}"
    assert "site-packages" in python("-c", lines, folder=INFRA)


def test_without_it_the_folder_would_be_found() -> None:
    """The reason for all this; a sign that it may go, when it fails."""
    lines = f"import sys; sys.path.insert(0, {str(INFRA)!r}); import azure; print(azure.__file__)"
    assert python("-c", lines, folder=INFRA) == str(INFRA / "azure" / "__init__.py")


def test_a_dynamic_provider_finds_it_too(tmp_path: Path) -> None:
    """Pulumi's server for them is a module run in the program's folder."""
    (tmp_path / "server.py").write_text(f"from infra.azure.contents import StorageContentsProvider\n{SDK}\n")
    lines = f"import sys, runpy; sys.path.append({str(tmp_path)!r}); runpy.run_module('server')"
    assert "site-packages" in python("-c", lines, folder=INFRA)


def test_what_is_imported_is_the_project_and_no_second_copy() -> None:
    lines = "import sys; from infra.config import load; sys.exit('config' in sys.modules)"
    assert python("-c", lines, folder=INFRA) == ""
