"""What holds for each role, on each node. That they work is proven on real nodes by the end-to-end test."""

from __future__ import annotations

import configparser
import re
import subprocess

import pytest

from bootstrap.cluster import Cluster
from bootstrap.plan import make_plan
from bootstrap.render import render
from bootstrap.role import load_role
from tests.bootstrap.roles.conftest import ROLES, Compile, Compiled

NODES = ("head", "w1")
SECRET = "not-to-be-seen"

each_role = pytest.mark.parametrize("role", ROLES)
each_node = pytest.mark.parametrize("node", NODES)


def units(compiled: Compiled) -> dict[str, str]:
    steps = [step.service for step in compiled.role.steps if step.service is not None]
    return {service.name: compiled.template(service.template) for service in steps}


def test_the_roles_fit_together(cluster: Cluster) -> None:
    plan = make_plan([load_role(role) for role in ROLES], cluster, {})
    assert [node for node, commands in plan.items() if commands] == ["head", "w1", "w2"]


@each_role
@each_node
def test_all_scripts_are_posix_shell(role: str, node: str, compile_for: Compile) -> None:
    compiled = compile_for(role, node)
    checks = "".join(f"(\n{check.run}\n)\n" for check in compiled.checks.values())
    for script in (render(list(compiled.commands.values())), checks):
        parsed = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert parsed.returncode == 0, parsed.stderr


@each_role
@each_node
def test_every_role_proves_its_service_and_says_what_to_type(
    role: str, node: str, compile_for: Compile
) -> None:
    checks = compile_for(role, node).checks.values()
    assert checks
    assert all(check.fix.startswith(("Run", "Remove", "In safe mode")) for check in checks)


@each_role
@each_node
def test_units_run_as_a_user_and_come_back_after_a_failure(
    role: str, node: str, compile_for: Compile
) -> None:
    for name, text in units(compile_for(role, node)).items():
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(text)
        assert unit["Unit"]["Description"], name
        assert unit["Service"]["User"] in ("hdfs", "spark", "nobody"), name
        assert unit["Service"]["ExecStart"].startswith("/"), name
        assert unit["Service"]["Restart"] in ("on-failure", "always"), name
        assert unit["Install"]["WantedBy"] == "multi-user.target", name


@each_role
@each_node
def test_nothing_listens_on_every_address(role: str, node: str, compile_for: Compile) -> None:
    compiled = compile_for(role, node)
    for template in (compiled.role.folder / "templates").glob("*.j2"):
        assert "0.0.0.0" not in compiled.template(template.name), template.name


@each_role
@each_node
def test_the_secret_is_in_one_file_only(role: str, node: str, compile_for: Compile) -> None:
    compiled = compile_for(role, node)
    holders = {name for name, command in compiled.commands.items() if SECRET in command.run + command.guard}
    assert holders == ({"Write spark-defaults.conf"} if role == "spark" else set())
    # Not on the command line of any service or check, where `ps` would show it to everyone.
    assert not any(SECRET in text for text in units(compiled).values())
    assert not any(SECRET in check.run for check in compiled.checks.values())
    for name in holders:
        assert SECRET not in compiled.commands[name].masked(compiled.commands[name].run)


@each_role
def test_no_host_is_named_but_the_clusters_own(role: str) -> None:
    for file in load_role(role).folder.rglob("*"):
        if file.is_file():
            # The name of an XML namespace looks like an address and is none.
            text = re.sub(r'xmlns:\w+="[^"]+"', "", file.read_text())
            hosts = re.findall(r"\w+://([^\s/'\"]+)", text)
            ours = ("{{", "s3.{{")
            assert [host for host in hosts if not host.startswith(ours)] == [], file.name
