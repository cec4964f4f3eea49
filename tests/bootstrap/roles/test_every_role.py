"""Properties of every role on every node; the end-to-end tests run them on real nodes."""

from __future__ import annotations

import configparser
import re
import subprocess

import pytest

from bootstrap.cluster import Cluster
from bootstrap.engine.plan import make_plan
from bootstrap.engine.render import render
from bootstrap.engine.role import load_role
from tests.bootstrap.roles.conftest import OF_AWS, ROLES, Compile, Compiled

NODES = ("head", "w1")
SECRET = "not-to-be-seen"
NOTHING_TO_PROVE = {("yarn", "w1"), ("spark_history", "w1"), ("scratch", "head"), ("efa", "head")}

each_role = pytest.mark.parametrize("role", ROLES)
each_node = pytest.mark.parametrize("node", NODES)


def units(compiled: Compiled) -> dict[str, str]:
    steps = [step.service for step in compiled.role.steps if step.service is not None]
    return {service.name: compiled.template(service.template) for service in steps}


@pytest.mark.parametrize("flavour", ["cluster", "yarn_cluster", "aws_cluster"])
def test_the_roles_fit_together(flavour: str, request: pytest.FixtureRequest) -> None:
    cluster: Cluster = request.getfixturevalue(flavour)
    plan = make_plan([load_role(role) for role in cluster.roles], cluster, {})
    assert [node for node, commands in plan.items() if commands] == ["head", "w1", "w2"]


def test_a_cluster_has_one_kind_of_scheduler(cluster: Cluster, yarn_cluster: Cluster) -> None:
    assert "spark_standalone" in cluster.roles
    assert not {"yarn", "blob_server"} & set(cluster.roles)
    assert {"yarn", "blob_server", "hdfs"} < set(yarn_cluster.roles)
    assert "spark_standalone" not in yarn_cluster.roles


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
    # Azurite is on the head alone, and every worker uses it in the check of role `storage`.
    assert checks or (role, node) in NOTHING_TO_PROVE
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
        users = ("root",) if role in OF_AWS else ("hdfs", "spark", "nobody", "azurite")
        assert unit["Service"]["User"] in users, name
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


@pytest.mark.parametrize(
    "role", [role for role in ROLES if role != "spark_standalone" and role not in OF_AWS]
)
@each_node
def test_the_key_of_the_storage_account_is_where_it_is_needed(
    role: str, node: str, compile_for_yarn: Compile
) -> None:
    compiled = compile_for_yarn(role, node)
    key = "bm90LXRvLWJlLXNlZW4="
    holders = {name for name, command in compiled.commands.items() if key in command.run + command.guard}
    expected = {"hadoop": {"Write the key of the storage account"}}
    if node == "head":
        expected["blob_server"] = {"Write the account and its key"}
    assert holders == expected.get(role, set())
    assert not any(key in text for text in units(compiled).values())
    for name in holders:
        assert key not in compiled.commands[name].masked(compiled.commands[name].run)


@each_role
def test_no_host_is_named_but_the_clusters_own(role: str) -> None:
    for file in load_role(role).folder.rglob("*"):
        if file.is_file():
            # The name of an XML namespace looks like an address and is none.
            text = re.sub(r'xmlns:\w+="[^"]+"', "", file.read_text())
            hosts = re.findall(r"\w+://([^\s/'\"]+)", text)
            # AWS's own, the agent's bucket among them; its package is pinned by its sum.
            ours = ("{{", "s3.{{", "logs.{{", "amazoncloudwatch-agent.s3.amazonaws.com")
            assert [host for host in hosts if not host.startswith(ours)] == [], file.name
