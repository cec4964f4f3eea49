"""Processes of a job on a node: real ones, of this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from jobs.backends import processes
from jobs.backends.processes import reap_script
from tests.bootstrap.local_node import LocalNode
from tests.jobs.job_processes import job_processes


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    return LocalNode(tmp_path)


def test_the_sweep_kills_what_does_not_go_by_itself(node: LocalNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE", 1)
    node.run("CAFFE_SPARK_JOB=stuck-1 setsid sh -c 'trap \"\" TERM; sleep 60 & wait' >/dev/null 2>&1 &")
    assert job_processes("stuck-1")

    node.run(reap_script("stuck-1"))

    assert job_processes("stuck-1") == []


def test_the_sweep_leaves_other_jobs_alone(node: LocalNode) -> None:
    node.run("CAFFE_SPARK_JOB=mnist-11 setsid sleep 60 >/dev/null 2>&1 &")

    node.run(reap_script("mnist-1"))

    assert job_processes("mnist-11")
    for pid in job_processes("mnist-11"):
        os.kill(int(pid), signal.SIGKILL)
