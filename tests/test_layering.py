"""The arrows between packages: as pyproject.toml declares them for import-linter, and what infra may take."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]

INFRA_TAKES: Final = {
    "bootstrap.aside": "unique names beside a target, for files that appear whole",
    "bootstrap.clouds.aws": "AWS's SDK with retries and translated errors: preflight, prices, sweep, storage",
    "bootstrap.clouds.azure": "Azure's SDK with retries and translated errors, likewise",
    "bootstrap.join.user_data": "what a machine runs at its first boot: user data and the script of its role",
    "bootstrap.cluster": "the cluster document, which infra writes",
    "bootstrap.console": "terminal output and exit codes of tasks",
    "bootstrap.durations": "durations with their units, which jobs read alike",
    "bootstrap.errors": "the tree of expected errors",
    "bootstrap.locks": "locks between processes, with a limit: one builds an image, others wait",
    "bootstrap.money": "amounts with ranges and without prices, as receipts have them: bills and budgets",
    "bootstrap.operator_cache": "the operator's cache folder, where base images are made",
    "bootstrap.paths": "folders of shared storage, for policies, and the depot's port, for firewalls",
    "bootstrap.signing": "the key pair that signs what nodes run as root",
    "bootstrap.strict_yaml": "YAML that Pulumi's engine reads as these files' readers do",
    "bootstrap.script_actions.action": "the script that HDInsight runs on each node",
    "bootstrap.inventory.stack": "the selected stack and the stacks that are up, for tasks",
}
"""All that infra may import of bootstrap, and why; of jobs it takes nothing."""


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if _is_module(full) else node.module


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_no_import_goes_against_the_arrows() -> None:
    assert lint_imports(config_filename="pyproject.toml") == 0, "run `lint-imports` to see which"


def test_infra_takes_of_bootstrap_what_is_listed_and_nothing_else() -> None:
    takes: dict[str, set[str]] = {}
    for file in (ROOT / "infra").rglob("*.py"):
        for module in imported(file):
            if module.partition(".")[0] in ("bootstrap", "jobs"):
                takes.setdefault(module, set()).add(str(file.relative_to(ROOT)))
    unlisted = {module: files for module, files in takes.items() if module not in INFRA_TAKES}
    assert unlisted == {}, "add the module to INFRA_TAKES with its reason, or do without it"
    assert set(INFRA_TAKES) - set(takes) == set(), "no longer needed: take it off the list"


def test_everything_in_jobs_but_its_tasks_is_held_away_from_provisioning() -> None:
    declared = (ROOT / "pyproject.toml").read_text()
    parts = {
        path.stem
        for path in (ROOT / "jobs").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    for part in parts - {"__init__", "tasks"}:
        assert f'"jobs.{part}",' in declared, "add it to the contract in pyproject.toml"
