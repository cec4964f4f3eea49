"""Small faults put into a module, one at a time: how many of them pass the tests.

    python -m tests.mutation jobs/trainer/caffe/native.py --faults 20 [--seed N]

A fault is a comparison flipped, a number off by one, a branch inverted, `and` for `or`. In a copy of the tree
tests run in this order until one fails: the module's own file, files that name the module, all of --tests.
Survivors are listed, with --killers also the test that found each other fault.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tools.environment import ROOT

LIMIT = 600.0
"""Seconds for all tests. A fault that never ends is found too."""
SLOWER = 5.0
"""Times that tests may take what they take without a fault."""
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
_LOADED_ONCE = (
    "numpy",
    "lmdb",
    "google.protobuf",
    "bootstrap.framework.ensure",
    "bootstrap.inventory.resolve",
)
"""Modules that conftests import, which takes a second: processes that run tests are forked after it. None is
of `jobs`."""


class Fault(NamedTuple):
    """A fault: its line, what it changes, and the module's source with it."""

    line: int
    what: str
    source: str


def faults(source: str) -> list[Fault]:
    """Return every fault that a module can be given."""
    tree = ast.parse(source)
    annotations = _annotations(tree)
    return [
        _fault(tree, number)
        for number, node in enumerate(ast.walk(tree))
        if _kind(node) and id(node) not in annotations
    ]


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPPED:
        return "comparison"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        return "constant"
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return "branch"
    return "operator" if isinstance(node, ast.BoolOp) else ""


def _annotations(tree: ast.Module) -> set[int]:
    """Return the identities of nodes in annotations, which nothing evaluates."""
    return {
        id(node)
        for parent in ast.walk(tree)
        for annotation in (getattr(parent, "annotation", None), getattr(parent, "returns", None))
        if isinstance(annotation, ast.AST)
        for node in ast.walk(annotation)
    }


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


def stages_of(module: Path, tests: list[str]) -> list[list[str]]:
    """Return what is run for a module, in order: its own file, files that name it, all tests."""
    own = Path("tests") / module.parent / f"test_{module.name}"
    package, name = ".".join(module.parent.parts), module.stem
    named = re.compile(rf"{re.escape(package)}(\.{name}\b| import \(?[\w\s,]*\b{name}\b)")
    near = [
        file.relative_to(ROOT)
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if file != ROOT / own and named.search(file.read_text())
    ]
    return [places for places in ([str(own)] * (ROOT / own).exists(), [*map(str, near)], tests) if places]


def killers(
    module: Path, wanted: int, seed: int, tests: list[str], marked: str
) -> Iterator[tuple[Fault, str]]:
    """Yield up to `wanted` faults of a module, each with the test that found it, or "".

    Raises ValueError where tests of the module fail without a fault.
    """
    source = (ROOT / module).read_text()
    known = faults(source)
    chosen = random.Random(f"{module} {seed}").sample(known, min(wanted, len(known)))
    stages = stages_of(module, tests)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for name in _COPIED:
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy(file, folder)
        # Without comments, as the sources with faults are.
        (Path(folder) / module).write_text(ast.unparse(ast.parse(source)))
        limits = []
        for places in stages[:-1]:
            started = time.monotonic()
            if failed := _failed(Path(folder), places, marked, LIMIT):
                raise ValueError(f"{module}: {failed} fails without a fault")
            limits.append(min(LIMIT, 10 + SLOWER * (time.monotonic() - started)))
        timed = list(zip(stages, [*limits, LIMIT], strict=False))
        for fault in sorted(chosen):
            (Path(folder) / module).write_text(fault.source)
            found = (_failed(Path(folder), places, marked, limit) for places, limit in timed)
            yield fault, next(filter(None, found), "")


class _First:
    """The first test that fails, written to a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.file.write_text(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.file.write_text(f"{report.nodeid}, when imported")


def _failed(folder: Path, places: list[str], marked: str, limit: float) -> str:
    """Return the first test at these places that fails in a copy of the tree, or ""; `limit` in seconds."""
    written = folder / "failed"
    written.unlink(missing_ok=True)
    process = os.fork()
    if not process:
        with contextlib.suppress(BaseException):
            _run(folder, places, marked, written)
        os._exit(70)
    deadline = time.monotonic() + limit
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        # Processes that tests left, too.
        os.killpg(process, signal.SIGKILL)
    if not ended:
        os.waitpid(process, 0)
        return "the time limit"
    if os.waitstatus_to_exitcode(status) in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        return ""
    return written.read_text() if written.exists() else "the end of pytest"


def _run(folder: Path, places: list[str], marked: str, written: Path) -> None:
    """Run pytest in this forked process, on the copy; of this tree it keeps what `_LOADED_ONCE` imported."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.chdir(folder)
    os.environ.update(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    sys.dont_write_bytecode = True
    sys.path[:] = [str(folder), *(place for place in sys.path if place and Path(place) != ROOT)]
    for name in list(sys.modules):
        if name.partition(".")[0] in {"tests", "tools"}:
            del sys.modules[name]
    words = ["-q", "-x", "-n0", "-p", "no:cacheprovider", "-m", marked, *places]
    os._exit(pytest.main(words, plugins=[_First(written)]))


def main() -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="+", type=Path)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", nargs="*", default=["tests/jobs/trainer"])
    parser.add_argument("--marked", default="not cluster", help="as pytest's -m")
    parser.add_argument("--killers", action="store_true")
    options = parser.parse_args()
    if any(module.parts[0] != "jobs" for module in options.modules):
        parser.error("only modules of jobs: others are loaded before they get a fault")
    for name in _LOADED_ONCE:
        importlib.import_module(name)
    assert "jobs" not in sys.modules
    for module in options.modules:
        taken = passed = 0
        for fault, killer in killers(module, options.faults, options.seed, options.tests, options.marked):
            taken += 1
            passed += not killer
            if not killer or options.killers:
                print(
                    f"{module}:{fault.line}: {fault.what}" + f"    found by {killer}" * bool(killer),
                    flush=True,
                )
        print(f"{module}: {passed} of {taken} pass the tests, seed {options.seed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
