"""The program of machines as shell that installs it; the end-to-end tests run it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.join import program

SETTINGS = {"metadata": "http://192.0.2.1:80", "rebalance": ""}


def test_a_program_is_shipped_without_what_only_its_readers_need() -> None:
    source = '"""A."""\n\nX = "# no comment"\n"""B,\nC."""\n\n\ndef f():\n    # why\n    return X  # so\n'
    assert program.compact(source) == 'X="# no comment"\ndef f():return X'


def test_annotations_of_functions_go_and_those_of_fields_stay() -> None:
    source = (
        "class A(Base):\n    x: int = 1\n\n"
        "    def f(self, *a: int, b: List[str] = [], **c: X) -> 'A':\n        pass\n"
    )
    assert program.compact(source) == "class A(Base):\n x:int=1\n def f(self,*a,b=[],**c):pass"


def test_imports_of_types_go_with_the_annotations_that_need_them() -> None:
    imports = "from typing import Dict, List, NamedTuple\n"
    source = "class A(NamedTuple):\n    x: List[int]\ndef f(x: Dict):\n    pass\n"
    assert program.compact(imports + source).splitlines()[0] == "from typing import List,NamedTuple"
    assert program.compact("from typing import (\n    Any,\n)\nX = 1\n") == "X=1"


@pytest.mark.parametrize(
    ("source", "shipped"),
    [
        ("if a:\n    b()\nelse:\n    c()\n", "if a:b()\nelse:c()"),
        ("if a:\n    b()\n    c()\n", "if a:\n b()\n c()"),
        ("if a:\n    b()\n    if c:\n        d()\n", "if a:\n b()\n if c:d()"),
        ("if a:\n    for b in c:\n        d()\ne()\n", "if a:\n for b in c:d()\ne()"),
        ("if a:\n    @b\n    def c():\n        pass\n", "if a:\n @b\n def c():pass"),
        ("f(\n    'a' 'b',  # c\n    not x, -1 if y else 2,\n)\n", "f('a' 'b',not x,-1 if y else 2,)"),
        ('x = """a\n   b"""\n', 'x="""a\n   b"""'),
    ],
)
def test_a_line_holds_what_python_lets_it_hold(source: str, shipped: str) -> None:
    assert program.compact(source) == shipped
    assert ast.dump(ast.parse(source)) == ast.dump(ast.parse(shipped))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /, and a systemctl that writes down what it is told; no unit is enabled."""
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n[ "$1" != is-enabled ] || [ -e {tmp_path}/enabled ]\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "run").mkdir()
    return tmp_path


def run(machine: Path, script: str) -> list[str]:
    """Run a script with its folders below the machine's; return the calls of systemctl."""
    for folder in ("/run/", "/var/log/"):
        script = script.replace(folder, f"{machine}{folder}")
    (machine / "calls").write_text("")
    subprocess.run(["sh"], input=script, text=True, check=True)
    return (machine / "calls").read_text().splitlines()


def test_a_watch_for_now_starts_as_the_one_of_user_data(machine: Path) -> None:
    assert run(machine, program.watching(SETTINGS)) == ["daemon-reload", f"restart {program.WATCH}"]

    unit = (machine / "run/systemd/system" / program.WATCH).read_text()
    environment = dict(
        line.partition("=")[2].split("=", 1) for line in unit.splitlines() if line.startswith("Environment=")
    )
    assert json.loads(Path(environment["CAFFE_SPARK_SETTINGS"]).read_text()) == SETTINGS
    start = next(line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart="))
    words = [sys.executable, "-S", *start.split()[1:-1], "nothing-to-do"]
    tried = subprocess.run(words, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert tried.stderr.splitlines()[-1] == "KeyError: 'nothing-to-do'", "all modules are found and imported"
    assert str(machine) in tried.stderr


def test_nothing_of_a_watch_is_left_when_it_is_removed(machine: Path) -> None:
    run(machine, program.watching(SETTINGS))
    calls = run(machine, program.unwatching())

    assert calls == [f"stop {program.WATCH}", "daemon-reload"]
    assert [path for path in (machine / "run").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("enabled", [True, False])
def test_a_worker_that_was_told_to_leave_and_was_not_taken_starts_again(machine: Path, enabled: bool) -> None:
    (machine / "run" / "caffe-spark-notice.json").write_text("{}")
    if enabled:
        (machine / "enabled").touch()

    calls = run(machine, program.unwatching())

    assert not (machine / "run" / "caffe-spark-notice.json").exists()
    assert ("restart spark-worker" in calls) == enabled, "YARN's nodes have none"
