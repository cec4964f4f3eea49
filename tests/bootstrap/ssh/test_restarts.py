"""Units that begin again, on a stand-in for systemd. Real systemd: the cluster tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.ssh import restarts
from bootstrap.ssh.unit import LOST, Unit, UnitState
from tests.bootstrap.local_node import LocalNode

NUMBER = "$TIMES"


@pytest.fixture
def unit(node: LocalNode, monkeypatch: pytest.MonkeyPatch) -> Unit:
    monkeypatch.setattr(restarts, "_PAUSE_S", 0)
    scratch = str(node.folder / "scratch")
    return Unit(node, "caffe-spark-job-1", str(node.folder / "unit"), scratch=scratch, again="TIMES")


def followed(unit: Unit) -> tuple[int, list[str]]:
    lines = list[str]()
    # The shell's own words about signals are in the log too.
    return unit.follow(lines.append), [line for line in lines if line.startswith("run ")]


def file_of(node: LocalNode) -> Path:
    return node.folder / "state/systemd/caffe-spark-job-1.service"


def test_a_script_that_is_killed_begins_again_and_its_log_goes_on(unit: Unit, node: LocalNode) -> None:
    unit.start(f"echo run {NUMBER}; mkdir {node.folder}/scratch; [ {NUMBER} = 2 ] && exit 7; kill -9 $$")

    assert followed(unit) == (7, ["run 0", "run 1", "run 2"])
    assert not file_of(node).exists()


@pytest.mark.parametrize("end", ["exit 0", "exit 1", "exit 2", "kill -TERM $$", "kill -INT $$"])
def test_a_script_that_ends_or_is_asked_to_end_does_not_begin_again(unit: Unit, end: str) -> None:
    unit.start(f"echo run {NUMBER}; {end}")

    code, lines = followed(unit)
    assert lines == ["run 0"]
    assert code in {0, 1, 2, 143, 130}


def test_a_script_that_is_killed_again_and_again_is_lost_in_the_end(
    unit: Unit, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "MOST", 3)
    unit.start(f"echo run {NUMBER}; kill -9 $$")

    assert followed(unit) == (LOST, ["run 0", "run 1", "run 2", "run 3"])
    assert not file_of(node).exists()


def test_after_a_reboot_it_is_on_its_way_until_systemd_begins_it_again(unit: Unit, node: LocalNode) -> None:
    gate = node.folder / "gate"
    unit.start(f"echo run {NUMBER}; [ {NUMBER} = 1 ] || {{ touch {gate}; sleep 60; }}")
    while not gate.exists():
        pass
    pid = (node.folder / "state/caffe-spark-job-1").read_text().strip()
    node.run(f"kill -9 -{pid}; rm {node.folder}/state/caffe-spark-job-1")

    assert unit.state() == UnitState(running=True, exit_code=None)
    node.run("systemctl start --no-block caffe-spark-job-1")
    assert followed(unit) == (0, ["run 0", "run 1"])
    assert unit.state() == UnitState(running=False, exit_code=0)


def test_one_that_was_stopped_does_not_begin_again(unit: Unit, node: LocalNode) -> None:
    unit.start("echo up; sleep 60")
    assert unit.state().running
    unit.mark(143)
    unit.stop()

    assert not file_of(node).exists()
    assert unit.state() == UnitState(running=False, exit_code=143)


def test_one_that_was_marked_as_killed_before_the_node_went_down_does_not_run(
    unit: Unit, node: LocalNode
) -> None:
    ran = node.folder / "ran"
    unit.start("sleep 60")
    pid = (node.folder / "state/caffe-spark-job-1").read_text().strip()
    unit.mark(143)
    node.run(f"kill -9 -{pid}; echo 'touch {ran}' >{unit.folder}/run.sh")

    node.run("systemctl start --no-block caffe-spark-job-1")
    while file_of(node).exists():
        pass
    assert not ran.exists()
    assert followed(unit)[0] == 143
