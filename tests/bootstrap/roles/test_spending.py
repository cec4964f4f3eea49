"""Role `spending`: the head's programs and settings."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import S3, AutoScalingGroup, ClusterDocument
from bootstrap.cluster.access import DeclaredNode
from bootstrap.join.user_data import LAUNCH_HOOK
from jobs.trainer import contract
from tests.bootstrap.roles.conftest import Compiled, sh

ROOT = Path(__file__).parents[3]
WORKER = DeclaredNode(name="any-worker", address="192.0.2.1")
GROUP = AutoScalingGroup(name="caffe-spark-x-workers", region="eu-west-1", desired_capacity=2, watched=True)


@pytest.fixture
def document(cluster_document: dict[str, object]) -> ClusterDocument:
    storage = S3(uri="s3a://caffe-spark-x", region="eu-west-1")
    return ClusterDocument.model_validate({**cluster_document, "members": GROUP, "storage": storage})


@pytest.fixture
def compiled(document: ClusterDocument) -> Compiled:
    return Compiled("spending", document, document.head, {})


def test_only_the_head_of_a_group_that_it_watches_keeps_account(document: ClusterDocument) -> None:
    assert "spending" in document.roles
    earlier = {**document.model_dump(), "members": GROUP.model_copy(update={"watched": False})}
    assert "spending" not in ClusterDocument.model_validate(earlier).roles
    on_worker = Compiled("spending", document, WORKER, {})
    assert (on_worker.commands, on_worker.checks) == ({}, {})


def test_the_settings_name_all_that_the_program_asks_for(compiled: Compiled) -> None:
    settings = json.loads(compiled.template("spending.json.j2"))
    assert settings == {
        "metadata": "http://169.254.169.254",
        "region": "eu-west-1",
        "bucket_url": "https://caffe-spark-x.s3.eu-west-1.amazonaws.com",
        "autoscaling_url": "https://autoscaling.eu-west-1.amazonaws.com",
        "ec2_url": "https://ec2.eu-west-1.amazonaws.com",
        "group": "caffe-spark-x-workers",
        "launch_hook": LAUNCH_HOOK,
        "nodes": paths.NODES,
        "limits": paths.LIMITS,
        "spending": paths.SPENDING,
        "account": f"{paths.STATE}/spending.json",
        "unit": paths.JOB_UNIT,
        "build_unit": paths.BUILD_UNIT,
        "convert_unit": paths.CONVERT_UNIT,
        "stop_file": contract.STOP_FILE,
        "lock": f"{paths.RUN}/lock",
        "master": "http://head:8080/json/",
    }


def test_another_s3_server_is_reached_by_path(document: ClusterDocument) -> None:
    storage = S3(uri="s3a://x", endpoint="http://10.9.8.1:9000", access_key="a", secret_key="b")
    other = ClusterDocument.model_validate({**document.model_dump(), "storage": storage})
    settings = json.loads(Compiled("spending", other, other.head, {}).template("spending.json.j2"))
    assert settings["bucket_url"] == "http://10.9.8.1:9000/x"


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("Write the machine's requests", "aws"),
        ("Write the account's arithmetic", "account"),
        ("Write the rule for workers on demand in place of spot", "fallback"),
        ("Write the look at workers' markets", "markets"),
        ("Write the look at workers that join", "joining"),
        ("Write the look at their reports", "reports"),
        ("Write the requests about the group", "group"),
        ("Write the look at what runs", "use"),
        ("Write the program", "spending"),
    ],
)
def test_the_programs_arrive_as_they_are_written_and_another_version_restarts_the_unit(
    step: str, name: str, compiled: Compiled, tmp_path: Path
) -> None:
    (tmp_path / "chown").write_text("#!/bin/sh\n")
    (tmp_path / "chown").chmod(0o755)
    place = f"{compiled.variables['programs']}/{name}.py"
    command = compiled.commands[step]
    done = sh(f"PATH={tmp_path}:$PATH\n{command.run.replace(compiled.variables['library'], str(tmp_path))}")
    assert done.returncode == 0, done.stderr
    program = f"bootstrap/join/on_node/{name}.py"
    assert (tmp_path / program).read_text() == (ROOT / program).read_text()
    assert place in compiled.commands["Keep account of the stack's spending"].guard


def test_doctor_says_when_the_account_is_not_kept(
    document: ClusterDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = tmp_path / "spending.json"
    check = Compiled("spending", document, document.head, {"account": str(account)}).checks[
        "The stack's account is kept"
    ]
    journal = tmp_path / "journalctl"
    journal.write_text("#!/bin/sh\necho 'not counted: 403 AccessDenied'\n")
    journal.chmod(0o755)
    path = f"PATH={tmp_path}:$PATH\n"
    missing = sh(path + check.run)
    assert missing.returncode == 1
    assert "403 AccessDenied" in missing.stdout
    account.touch()
    assert sh(path + check.run).returncode == 0
    old = time.time() - 3600
    os.utime(account, (old, old))
    assert sh(path + check.run).returncode == 1
