"""The real roles, compiled for the nodes of a sample cluster, and their scripts run on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest

from bootstrap.cluster import Cluster, ClusterDocument, DeclaredNode, SparkLine
from bootstrap.engine.command import Check, Command
from bootstrap.engine.plan import _environment, compile_checks, compile_role, variables_for
from bootstrap.engine.role import load_role

ROLES = (
    "common",
    "scratch",
    "efa",
    "hadoop",
    "hdfs",
    "storage",
    "spark",
    "spark_standalone",
    "spark_history",
    "blob_server",
    "yarn",
    "job_credentials",
    "boot_log",
    "cloud_logs",
)
OF_YARN = ("blob_server", "yarn")
"""Roles that only clusters of HDInsight's shape have."""
OF_AWS = ("job_credentials", "scratch", "efa", "boot_log", "cloud_logs")
"""Roles that only clusters on AWS have."""
STRANGER = "nobody"
"""A user of this machine, who has the place of `hdfs` on a node."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")


class Compiled:
    """A role's commands and checks for one node, by name."""

    def __init__(
        self, role: str, cluster: ClusterDocument, node: DeclaredNode, given: dict[str, Any]
    ) -> None:
        self.role = load_role(role)
        self.variables = variables_for(self.role, cluster, node, given)
        self.commands: dict[str, Command] = {
            command.name: command for command in compile_role(self.role, cluster, node, given)
        }
        self.checks: dict[str, Check] = {
            check.name: check for check in compile_checks(self.role, cluster, node, given)
        }

    def template(self, name: str) -> str:
        """A template of the role, filled for this node."""
        return _environment(self.role.folder).get_template(name).render(self.variables)


Compile = Callable[..., Compiled]


@pytest.fixture
def compile_for(cluster: Cluster, yarn_cluster: Cluster, aws_cluster: Cluster) -> Compile:
    def compiled(role: str, node: str = "head", **given: Any) -> Compiled:
        fitting = yarn_cluster if role in OF_YARN else aws_cluster if role in OF_AWS else cluster
        return Compiled(role, fitting, fitting.node(node), given)

    return compiled


@pytest.fixture
def compile_for_yarn(yarn_cluster: Cluster) -> Compile:
    def compiled(role: str, node: str = "head", **given: Any) -> Compiled:
        return Compiled(role, yarn_cluster, yarn_cluster.node(node), given)

    return compiled


@pytest.fixture(params=get_args(SparkLine))
def on_each_line(request: pytest.FixtureRequest, cluster: Cluster) -> Compile:
    """The roles of a cluster with Spark's own master, for each release of Spark."""
    of_line = cluster.model_copy(update={"spark": request.param})

    def compiled(role: str, node: str = "head", **given: Any) -> Compiled:
        return Compiled(role, of_line, of_line.node(node), given)

    return compiled


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., str]:
    """A command that prints what it is told to, whatever it is asked, and ends with a status."""

    def make(output: str = "", status: int = 0) -> str:
        number = len(list(tmp_path.glob("stand-in-*")))
        answer, file = tmp_path / f"answer-{number}", tmp_path / f"stand-in-{number}"
        answer.write_text(output)
        file.write_text(f"#!/bin/sh\ncat {answer}\nexit {status}\n")
        file.chmod(0o755)
        return str(file)

    return make


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of STRANGER, in a place that other users reach."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    shutil.chown(folder, STRANGER)
    yield folder
    shutil.rmtree(folder)


def properties(xml: str) -> dict[str, str]:
    """Properties of one of Hadoop's settings files."""
    root = ElementTree.fromstring(xml)
    return {p.findtext("name", ""): p.findtext("value", "") for p in root.iter("property")}


def sh(script: str) -> subprocess.CompletedProcess[str]:
    """Run a guard, a step or a check as a node runs it."""
    return subprocess.run(
        ["sh", "-eu"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
