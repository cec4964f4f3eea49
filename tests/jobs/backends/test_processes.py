"""Processes of a job on a node: real ones, of this machine."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
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
    node.run(
        "CAFFE_SPARK_JOB=stuck-1 setsid sh -c "
        '\'trap "" TERM; : >"$FAKE_STATE/up"; sleep 60 & wait\' >/dev/null 2>&1 &\n'
        'until [ -e "$FAKE_STATE/up" ]; do sleep 0.05; done'
    )
    assert job_processes(node, "stuck-1")

    node.run(reap_script("stuck-1", ()))

    assert job_processes(node, "stuck-1") == []


@pytest.fixture
def apart(node: LocalNode, monkeypatch: pytest.MonkeyPatch) -> LocalNode:
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False).returncode:
        pytest.skip("this machine allows no process namespaces")
    monkeypatch.setattr(processes, "GRACE", 1)
    # Control groups are this machine's: in the daemon's are those that sleep.
    node.fake("systemctl", 'cat "$FAKE_STATE/daemon"')
    members = 'for each in /proc/[0-9]*; do [ "$(cat $each/comm)" != sleep ] || echo $each/cgroup; done'
    node.fake("grep", f'case $* in *service*cgroup) {members} ;; *) exec /usr/bin/grep "$@" ;; esac')
    return node


@pytest.mark.parametrize(
    ("others", "left"),
    [
        (["other-1"], ["sleep 63", "sleep 64", "sleep 65"]),
        (None, [f"sleep 6{number}" for number in range(1, 6)]),
    ],
    ids=["jobs known", "jobs unknown"],
)
def test_strays_are_killed_and_processes_of_the_daemon_and_of_running_jobs_are_not(
    apart: LocalNode, others: list[str] | None, left: list[str]
) -> None:
    alive = "ps -C sleep -o args= | grep '6[0-9]' | sort"
    script = f"""
sh -c 'sleep 64 & setsid env -i sleep 65 & wait' & echo $! >"$FAKE_STATE/daemon"
CAFFE_SPARK_JOB=stuck-1 sh -c 'setsid env -i sleep 61 & setsid env CAFFE_SPARK_JOB=forged-1 sleep 62 &'
CAFFE_SPARK_JOB=other-1 sh -c 'setsid sleep 63 &'
until [ "$({alive} | wc -l)" = 5 ]; do sleep 0.1; done
sh -c {shlex.quote(reap_script("stuck-1", others))} || echo failed
{alive}
"""
    # The script's own shell is process 1 there, and so the parent of every orphan.
    result = apart.run(f"unshare --pid --fork --mount-proc --kill-child sh -c {shlex.quote(script)}")

    assert result.stdout.splitlines() == left


def test_a_sweep_of_these_tests_leaves_a_job_of_a_real_cluster_with_that_id_alone(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 1)
    real = subprocess.Popen(["sleep", "60"], env={**os.environ, "CAFFE_SPARK_JOB": "mnist-1"})
    try:
        node.run(reap_script("mnist-1", ()))

        assert real.poll() is None
    finally:
        real.kill()
        real.wait()


def test_the_sweep_leaves_other_jobs_alone(node: LocalNode) -> None:
    node.run("CAFFE_SPARK_JOB=mnist-11 setsid sleep 60 >/dev/null 2>&1 &")

    node.run(reap_script("mnist-1", ()))

    assert job_processes(node, "mnist-11")
    for pid in job_processes(node, "mnist-11"):
        os.kill(int(pid), signal.SIGKILL)


def test_when_its_processes_are_gone_the_jobs_scratch_folder_goes(node: LocalNode) -> None:
    scratch = node.folder / "job" / "work" / "tmp"
    scratch.mkdir(parents=True)
    (scratch / "blockmgr").touch()

    assert node.run(reap_script("gone-1", (), scratch=str(scratch))).ok

    assert not scratch.exists()
    assert scratch.parent.exists()
    assert node.run(reap_script("gone-1", (), scratch=str(scratch))).ok, "nor is it missed"
