"""The arrows between packages, as pyproject.toml declares them for import-linter."""

from __future__ import annotations

from importlinter.cli import lint_imports


def test_no_import_goes_against_the_arrows() -> None:
    assert lint_imports(config_filename="pyproject.toml") == 0, "run `lint-imports` to see which"
