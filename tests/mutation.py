"""Small faults put into a module, one at a time: how many of them pass the tests.

    python -m tests.mutation jobs/trainer/caffe/native.py --faults 20 [--seed N]

A fault is a comparison flipped, a number off by one, a branch inverted, `and` for `or`. The tree is copied,
the module's own test file is run first, then all of --tests, until one fails. Survivors are listed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.environment import ROOT

LIMIT = 600.0
"""Seconds for a run of the tests: a fault that never ends is found too."""
_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COPIED = ("infra", "bootstrap", "jobs", "tests", "tools", "docs", "benchmarks")


class Fault(NamedTuple):
    """A fault: its line, what it changes, and the module's source with it."""

    line: int
    what: str
    source: str


def faults(source: str) -> list[Fault]:
    """Return every fault that a module can be given."""
    tree = ast.parse(source)
    places = [
        (number, node)
        for number, node in enumerate(ast.walk(tree))
        if _kind(node) and not _annotates(tree, node)
    ]
    return [_fault(tree, number) for number, _ in places]


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPPED:
        return "comparison"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        return "constant"
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return "branch"
    return "operator" if isinstance(node, ast.BoolOp) else ""


def _annotates(tree: ast.Module, node: ast.AST) -> bool:
    """Return whether a node is part of an annotation, which nothing evaluates."""
    return any(
        node in ast.walk(annotation)
        for parent in ast.walk(tree)
        for annotation in (getattr(parent, "annotation", None), getattr(parent, "returns", None))
        if isinstance(annotation, ast.AST)
    )


def _fault(tree: ast.Module, number: int) -> Fault:
    changed = copy.deepcopy(tree)
    node = list(ast.walk(changed))[number]
    before = _shown(node)
    if isinstance(node, ast.Compare):
        node.ops[0] = _FLIPPED[type(node.ops[0])]()
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        node.value += 1
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    what = f"{before} → {_shown(node)}"
    return Fault(getattr(node, "lineno", 0), what, ast.unparse(ast.fix_missing_locations(changed)))


def _shown(node: ast.AST) -> str:
    part = node.test if isinstance(node, ast.If | ast.IfExp | ast.While) else node
    return ast.unparse(part).partition("\n")[0]


def survivors(module: Path, wanted: int, seed: int, tests: str) -> Iterator[tuple[Fault, bool]]:
    """Yield up to `wanted` faults of a module, each with whether it passes the tests."""
    source = (ROOT / module).read_text()
    known = faults(source)
    chosen = random.Random(f"{module} {seed}").sample(known, min(wanted, len(known)))
    own = Path("tests") / module.parent / f"test_{module.name}"
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for name in _COPIED:
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy(file, folder)
        for fault in sorted(chosen):
            (Path(folder) / module).write_text(fault.source)
            passes = all(
                _passes(Path(folder), place) for place in (str(own), tests) if (ROOT / place).exists()
            )
            yield fault, passes


def _passes(folder: Path, place: str) -> bool:
    """Return whether the tests at a place pass in a copy of the tree."""
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", "-m", "not cluster"]
    try:
        done = subprocess.run(
            [*words, place],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="+", type=Path)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", default="tests/jobs/trainer")
    options = parser.parse_args()
    for module in options.modules:
        taken = passed = 0
        for fault, passes in survivors(module, options.faults, options.seed, options.tests):
            taken += 1
            passed += passes
            if passes:
                print(f"{module}:{fault.line}: {fault.what}", flush=True)
        print(f"{module}: {passed} of {taken} pass the tests, seed {options.seed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
