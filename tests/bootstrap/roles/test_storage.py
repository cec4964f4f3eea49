"""Role `storage`: what makes the container that nobody else makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import paths
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.bootstrap.roles.conftest import Compile, sh

MAKE = "Make the container"


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    made = LocalNode(tmp_path)
    made.fake("hdfs", HDFS.replace("-e|", "-e|-d|"))
    return made


def test_a_container_that_is_missing_is_made_and_then_left_alone(
    compile_for_yarn: Compile, node: LocalNode
) -> None:
    step = compile_for_yarn("storage").commands[MAKE]
    assert not node.run(f"set -eu\n{step.guard}", check=False).ok
    node.run(f"set -eu\n{step.run}")
    assert node.run(f"set -eu\n{step.guard}", check=False).ok


def test_it_is_made_whatever_the_head_has_already_of_its_own(
    compile_for_yarn: Compile, compile_for: Compile
) -> None:
    made = compile_for_yarn("storage").commands
    assert next(iter(made)) == MAKE, "who changed the container's name has the classes' archive already"
    assert paths.HADOOP_HOME + "/classes" not in made[MAKE].guard


def test_hdfs_is_asked_for_none(compile_for: Compile) -> None:
    assert sh(compile_for("storage").commands[MAKE].guard).returncode == 0


def test_workers_make_none(compile_for_yarn: Compile) -> None:
    assert MAKE not in compile_for_yarn("storage", "w1").commands
