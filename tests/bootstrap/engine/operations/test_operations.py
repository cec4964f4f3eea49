"""Every `<operation>/<case>.yaml`: a state, an operation, what guard and run make of it under `sh`.

args     what stands in role.yaml ({box}: the scratch folder, {me}: who runs the tests)
content  the filled template, for a service
fakes    commands that stand in for the system's; each notes its calls in {box}/calls
before   a script that makes the state
held     whether the guard holds then; if so, that is all
status   the exit status of run (0): after 0 the guard has to hold, unless `holds_after` is false
says     a text in run's output
after    a script that must end with 0 at the end
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.cluster import Node
from bootstrap.engine.operations import Operations
from bootstrap.engine.role import Step
from tests.at_once import at_once
from tests.bootstrap.sandbox import Sandbox
from tests.host_keys import host_key

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/*.yaml"))


def strict(script: str) -> str:
    """As nodes run it: `bootstrap.engine.script` puts the same around guards and runs."""
    return f"part() {{\n{script}\n}}\n( set -eu; part ) </dev/null\n"


def filled(value: Any, sandbox: Sandbox) -> Any:
    match value:
        case str():
            return sandbox.fill(value)
        case list():
            return [filled(item, sandbox) for item in value]
        case dict():
            return {key: filled(item, sandbox) for key, item in value.items()}
    return value


@pytest.mark.parametrize("case_file", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_operation_case(case_file: Path, tmp_path: Path) -> None:
    case = yaml.safe_load(case_file.read_text())
    node = Node(name="w1", address="10.0.0.1", host_key=host_key("w1"))
    box = Sandbox(tmp_path, node, case.get("fakes"))
    if "before" in case:
        box.run("set -eu\n" + box.fill(case["before"]))
    step = Step.model_validate({"name": "step", case_file.parent.name: filled(case["args"], box)})
    guard, run = step.operation.scripts(case.get("content"))

    held = box.run(strict(guard), check=False)
    assert held.ok is case["held"], held.tail
    if held.ok:
        assert not (tmp_path / "calls").exists() or "restart" not in (tmp_path / "calls").read_text()
    else:
        result = box.run(strict(run), check=False)
        assert result.exit_code == case.get("status", 0), result.tail
        assert box.fill(case.get("says", "")) in result.stdout + result.stderr
        if result.ok:
            assert box.run(strict(guard), check=False).ok is case.get("holds_after", True)
    if "after" in case:
        box.run("set -eu\n" + box.fill(case["after"]))


APT_GET = """
mkdir {box}/busy || exit 100
sleep 0.1
case "$*" in *" source "*) echo hello >x; tar -cf hello_1.orig.tar.gz {plain} x; rm x ;; esac
rmdir {box}/busy
"""


def test_two_builds_that_fetch_their_source_at_once_wait_for_each_others_apt(tmp_path: Path) -> None:
    node = Node(name="w1", address="10.0.0.1", host_key=host_key("w1"))
    plain = "--mtime=@0 --owner=0 --group=0 --mode=0644 --format=ustar"
    box = Sandbox(tmp_path, node, {"apt-get": APT_GET.replace("{plain}", plain)})
    box.run("mkdir -p /etc/apt; echo 'deb http://mirror.test/debian bookworm main' >/etc/apt/sources.list")
    packed = f"echo hello >x; tar -c {plain} x | sha256sum; rm x"
    spec = {"package": "hello", "version": "1", "suite": "bullseye", "components": ["main"]}
    spec["orig_sha256"] = box.run(f"cd {tmp_path}; {packed}").stdout.split()[0]

    def fetch(dest: str) -> None:
        step = Step.model_validate({"name": "x", "debian_source": {**spec, "dest": f"{tmp_path}/{dest}"}})
        box.run(strict(step.operation.scripts().run))

    at_once(lambda: fetch("one"), lambda: fetch("two"))


def test_every_operation_has_cases() -> None:
    assert {path.parent.name for path in CASES} == set(Operations.model_fields)


def test_every_run_script_says_first_what_it_does() -> None:
    step = Step(name="x", command={"run": "tar xf a.tar\nmv a b", "creates": "b"})
    assert step.operation.scripts().run.splitlines()[0] == "# tar xf a.tar mv a b"
