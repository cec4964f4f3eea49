"""Role `cloud_logs`: the agent's configuration as its schema has it, its package, and how it is started."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from bootstrap import paths
from bootstrap.cluster import AutoScalingGroup, Cluster
from bootstrap.engine.role import load_role
from bootstrap.join.on_node import boot
from tests.bootstrap.roles.conftest import Compile, Compiled

KNOWN: Final[dict[str, set[str]]] = {
    "": {"agent", "metrics", "logs", "traces", "opentelemetry"},
    "agent": {"region", "run_as_user"},
    "logs": {"logs_collected", "force_flush_interval"},
    "logs.logs_collected": {"files", "windows_events", "journald"},
    "logs.logs_collected.files": {"collect_list"},
    "logs.logs_collected.journald": {"collect_list"},
    "files": {"file_path", "log_group_name", "log_stream_name", "publish_multi_logs", "filters"},
    "journald": {"log_group_name", "log_stream_name", "units", "priority", "matches", "filters"},
    "filter": {"type", "expression"},
}
"""Keys that the agent's schema allows, as far as they are used: translator/config/schema.json of
aws/amazon-cloudwatch-agent, read on 2026-11-30 as of 2026-08-07. All but `agent` are closed to others."""
MAX_NAME: Final = 512


@pytest.fixture
def head(compile_for: Compile) -> Compiled:
    return compile_for("cloud_logs", "head")


@pytest.fixture
def worker(compile_for: Compile) -> Compiled:
    return compile_for("cloud_logs", "w1")


def configuration(compiled: Compiled) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compiled.template("cloudwatch-agent.json.j2"))
    return found


def collected(compiled: Compiled) -> dict[str, dict[str, Any]]:
    """Return what is collected, by the name of its stream."""
    kinds = configuration(compiled)["logs"]["logs_collected"]
    entries = [*kinds["files"]["collect_list"], *kinds["journald"]["collect_list"]]
    return {entry["log_stream_name"]: entry for entry in entries}


@pytest.mark.parametrize("node", ["head", "w1"])
def test_the_configuration_has_only_what_the_agents_schema_allows(node: str, compile_for: Compile) -> None:
    compiled = compile_for("cloud_logs", node)
    document = configuration(compiled)
    assert set(document) <= KNOWN[""]
    assert set(document["agent"]) <= KNOWN["agent"]
    logs = document["logs"]
    assert set(logs) <= KNOWN["logs"]
    assert 1 <= logs["force_flush_interval"] <= 172_800
    assert set(logs["logs_collected"]) <= KNOWN["logs.logs_collected"]
    for kind, entries in logs["logs_collected"].items():
        assert set(entries) == KNOWN[f"logs.logs_collected.{kind}"]
        for entry in entries["collect_list"]:
            assert set(entry) <= KNOWN[kind]
            assert 1 <= len(entry["log_stream_name"]) <= MAX_NAME
            assert all(set(one) == KNOWN["filter"] for one in entry["filters"])
            assert len(set(entry.get("units", ["one"]))) == len(entry.get("units", ["one"])) > 0


def test_each_machine_has_streams_of_its_boot_its_services_and_what_jobs_say_there(
    head: Compiled, worker: Compiled
) -> None:
    assert set(collected(head)) == {f"{{instance_id}}/{kind}" for kind in ("boot", "jobs", "services")}
    assert set(collected(worker)) == {f"{{instance_id}}/{kind}" for kind in ("boot", "executors", "services")}
    for entry in (*collected(head).values(), *collected(worker).values()):
        assert entry["log_group_name"] == "caffe-spark/dev"
    assert configuration(head)["agent"]["region"] == "eu-west-1"


def test_files_are_those_that_are_written(head: Compiled, worker: Compiled) -> None:
    assert collected(head)["{instance_id}/boot"]["file_path"] == boot.LOG
    jobs = collected(head)["{instance_id}/jobs"]
    assert fnmatch.fnmatch(f"{paths.JOBS}/mnist-20261130-173036/log", jobs["file_path"])
    executors = collected(worker)["{instance_id}/executors"]
    spark = load_role("spark").defaults["spark_state"]
    for name in ("stderr", "stdout"):
        assert fnmatch.fnmatch(f"{spark}/work/app-20261130173036-0000/3/{name}", executors["file_path"])
    # Each file has a stream of its own; otherwise the agent would follow the newest one alone.
    assert jobs["publish_multi_logs"] and executors["publish_multi_logs"]


def test_all_services_of_a_stack_on_aws_are_collected(aws_cluster: Cluster, head: Compiled) -> None:
    group = AutoScalingGroup(name="workers", region="eu-west-1", desired_capacity=2, watched=True)
    shape = aws_cluster.worker.model_copy(update={"instance_store": True})
    cluster = aws_cluster.model_copy(update={"members": group, "worker": shape})
    services = {
        step.service.name
        for name in cluster.roles
        for step in load_role(name).steps
        if step.service is not None
    }
    of_the_boot = {"caffe-spark-boot", "caffe-spark-watch"}
    units = set(collected(head)["{instance_id}/services"]["units"])
    assert units == services | of_the_boot
    # journalctl compares a pattern with units that the journal knows when it starts, and with no later one.
    assert not [unit for unit in units if re.search(r"[*?\[]", unit)]


def test_nothing_is_sent_with_a_line_that_looks_like_a_credential(
    aws_cluster: Cluster, head: Compiled, worker: Compiled
) -> None:
    assert aws_cluster.cloud_logs is not None
    for entry in (*collected(head).values(), *collected(worker).values()):
        assert [one["expression"] for one in entry["filters"]] == list(aws_cluster.cloud_logs.withheld)
        assert {one["type"] for one in entry["filters"]} == {"exclude"}


def test_the_agent_is_not_root_and_reads_what_its_groups_may(worker: Compiled) -> None:
    user = configuration(worker)["agent"]["run_as_user"]
    (step,) = [step.user for step in worker.role.steps if step.user is not None]
    added = worker.commands["Add the agent's user"].run
    assert f"useradd --system --create-home --home-dir /home/{user} " in added
    assert f"--groups {paths.JOB_USER} {user}" in added, "executors' folders are 0750, and its group's"
    assert f"--groups systemd-journal {user}" in added
    assert paths.STORAGE_GROUP not in step.groups, "that one reads the keys of shared storage"


# ---- steps, with stand-ins for what only a machine has


def run(folder: Path, script: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run a guard or a step with these programs in place of the machine's."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, body in programs.items():
        file = folder / "bin" / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)
    return subprocess.run(
        ["sh", "-eu"],
        input=f"PATH={folder}/bin:$PATH\n{script}",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("state", "enough"),
    [
        ("installed 1.300072.0b1766-1", True),
        ("installed 1.300073.0b1800-1", True),
        ("installed 1.300069.1b1500-1", False),
        ("config-files 1.300072.0b1766-1", False),
        ("installed 1.247350.0b251780-1", False),
        ("", False),
    ],
)
def test_an_agent_of_the_image_stays_if_it_is_new_enough(
    state: str, enough: bool, worker: Compiled, tmp_path: Path
) -> None:
    guard = worker.commands["Install the agent"].guard
    done = run(tmp_path, guard, dpkg_query=f"[ -n '{state}' ] || exit 1; printf '%s' '{state}'")
    assert (done.returncode == 0) == enough, done.stderr


def test_another_package_than_the_pinned_one_is_not_installed(worker: Compiled, tmp_path: Path) -> None:
    step = worker.commands["Install the agent"].run.replace(paths.STATE, str(tmp_path))
    served = 'while [ "$1" != -o ]; do shift; done; echo another >"$2"'
    done = run(tmp_path, step, curl=served, apt_get=f"touch {tmp_path}/installed")
    assert done.returncode != 0
    assert "expected 05baeadc" in done.stderr
    assert not (tmp_path / "installed").exists()


def test_the_head_serves_the_pinned_package_alone(compile_for: Compile, tmp_path: Path) -> None:
    served = 'while [ "$1" != -o ]; do shift; done; echo package >"$2"; echo "$3" >>"${0%/*}/asked"'
    name = f"amazon-cloudwatch-agent-{load_role('cloud_logs').defaults['agent_version']}.deb"
    for sum_, ends_well in (("0" * 64, False), (hashlib.sha256(b"package\n").hexdigest(), True)):
        compiled = compile_for("cloud_logs", "head", sha256={name: sum_})
        command = compiled.commands["Fetch the agent"]
        fetch, guard = (text.replace(paths.DEPOT, str(tmp_path)) for text in (command.run, command.guard))
        done = run(tmp_path, fetch, curl=served)
        assert (done.returncode == 0) == ends_well, done.stderr
        assert (tmp_path / name).exists() == ends_well
        assert (run(tmp_path, guard).returncode == 0) == ends_well
    assert not list(tmp_path.glob("*.new"))
    assert (tmp_path / "bin" / "asked").read_text().splitlines()[0] == (
        "https://amazoncloudwatch-agent.s3.amazonaws.com/ubuntu/amd64/1.300072.0b1766/amazon-cloudwatch-agent.deb"
    )


def test_the_agent_is_configured_by_its_own_command_and_again_when_the_file_changes(
    compile_for: Compile, tmp_path: Path
) -> None:
    agent, config = tmp_path / "agent", tmp_path / "agent.json"
    (agent / "bin").mkdir(parents=True)
    (agent / "bin" / "amazon-cloudwatch-agent").write_text("program")
    ctl = agent / "bin" / "amazon-cloudwatch-agent-ctl"
    ctl.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n')
    ctl.chmod(0o755)
    config.write_text("{}")
    given = {"agent": str(agent), "agent_config": str(config), "applied": str(tmp_path / "applied")}
    command = compile_for("cloud_logs", "w1", **given).commands["Run the agent"]
    step = command.run.replace(paths.STAMPS, str(tmp_path / "stamps"))
    assert run(tmp_path, command.guard, systemctl="").returncode != 0
    assert run(tmp_path, step, systemctl="").returncode == 0
    assert run(tmp_path, command.guard, systemctl="").returncode == 0
    assert (tmp_path / "asked").read_text() == f"-a fetch-config -m ec2 -s -c file:{config}\n"
    assert run(tmp_path, command.guard, systemctl='[ "$1" != is-active ]').returncode != 0
    config.write_text('{"agent": {}}')
    assert run(tmp_path, command.guard, systemctl="").returncode != 0
    # A configuration that the agent refuses is attempted again.
    ctl.write_text("#!/bin/sh\necho 'Configuration validation first phase failed' >&2\nexit 1\n")
    assert run(tmp_path, step, systemctl="").returncode != 0
    assert not (tmp_path / "applied").exists()


def test_the_check_quotes_what_cloudwatch_refuses(compile_for: Compile, tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    (check,) = compile_for("cloud_logs", "w1", agent_log=str(log)).checks.values()
    assert run(tmp_path, check.run, systemctl="").returncode == 0
    log.write_text("I! started\nE! AccessDeniedException: not authorized to perform: logs:PutLogEvents\n")
    done = run(tmp_path, check.run, systemctl="")
    assert (done.returncode, "logs:PutLogEvents" in done.stdout) == (1, True)
    done = run(tmp_path, check.run, systemctl='echo failed; [ "$1" != is-active ]')
    assert (done.returncode, "amazon-cloudwatch-agent is failed" in done.stdout) == (1, True)
