"""Units on a stand-in for systemd: what start, follow and stop promise. Real systemd: the cluster tests."""

from __future__ import annotations

import functools
import threading
from pathlib import Path

import pytest

from bootstrap.errors import Unreachable
from bootstrap.ssh import limits
from bootstrap.ssh.remote import Remote, Result
from bootstrap.ssh.unit import LOST, Unit, UnitState
from tests.at_once import at_once
from tests.bootstrap.local_node import LocalNode


@pytest.fixture
def unit(node: LocalNode) -> Unit:
    return Unit(node, "job-1", str(node.folder / "unit"))


def test_a_unit_that_never_started_is_not_running_and_has_no_exit_code(unit: Unit) -> None:
    assert unit.state() == UnitState(running=False, exit_code=None)


def test_following_gives_every_line_and_the_exit_code(unit: Unit) -> None:
    unit.start("echo one; echo two >&2; printf 'three, unfinished'; exit 7")
    lines: list[str] = []
    assert unit.follow(lines.append) == 7
    assert lines == ["one", "two", "three, unfinished"]
    assert unit.state() == UnitState(running=False, exit_code=7)


def test_lines_arrive_while_the_unit_runs(unit: Unit, node: LocalNode) -> None:
    gate = node.folder / "gate"
    unit.start(f"echo first; while [ ! -e {gate} ]; do sleep 0.02; done; echo last")
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        gate.touch()  # the script goes on only after its first line was delivered

    assert unit.follow(on_line) == 0
    assert lines == ["first", "last"]


def test_an_extra_file_is_followed_beside_the_log(unit: Unit, node: LocalNode) -> None:
    extra = node.folder / "progress.jsonl"
    unit.start(f"echo log line; echo '{{\"iteration\": 1}}' > {extra}")
    lines: list[str] = []
    assert unit.follow(lines.append, extra_file=str(extra)) == 0
    assert sorted(lines) == ["log line", '{"iteration": 1}']


def test_bytes_that_are_not_utf8_and_long_output_are_read_to_the_end(unit: Unit) -> None:
    unit.start(r"printf 'caf\351\n'; seq -f 'line %g of some length' 20000; echo end")
    lines: list[str] = []
    assert unit.follow(lines.append) == 0
    assert len(lines) == 20002
    assert lines[0] == "caf�"
    assert lines[-1] == "end"


def test_starting_a_running_unit_attaches_to_it(unit: Unit, node: LocalNode) -> None:
    gate = node.folder / "gate"
    unit.start(f"echo mine; while [ ! -e {gate} ]; do sleep 0.02; done")
    Unit(node, "job-1", unit.folder).start("echo other")
    gate.touch()
    lines: list[str] = []
    assert unit.follow(lines.append) == 0
    assert lines == ["mine"]


def test_of_two_who_start_a_unit_at_once_one_starts_it_and_the_other_attaches(
    unit: Unit, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = node.folder / "gate"
    # On two machines the clocks may agree to the last digit.
    monkeypatch.setattr("time.monotonic_ns", lambda: 1)
    operators = [Unit(node, "job-1", unit.folder) for _ in range(2)]
    script = "echo {name}; while [ ! -e {gate} ]; do sleep 0.02; done"
    at_once(
        *(
            functools.partial(operator.start, script.format(name=name, gate=gate))
            for name, operator in zip(("ann", "bob"), operators, strict=True)
        )
    )
    gate.touch()
    for operator in operators:
        lines: list[str] = []
        assert operator.follow(lines.append) == 0
        assert lines in (["ann"], ["bob"])
    assert not list(Path(unit.folder).glob("given-*"))


def test_of_two_who_start_a_short_unit_at_once_nobody_misses_its_script(
    unit: Unit, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 1)
    for _ in range(3):
        at_once(*[lambda: Unit(node, "job-1", unit.folder).start("true")] * 3)
        assert unit.follow(lambda _: None) == 0
    assert not list(Path(unit.folder).glob("given-*"))


def test_an_ended_unit_starts_anew_with_an_empty_log(unit: Unit) -> None:
    unit.start("echo before; exit 1")
    assert unit.follow(lambda _: None) == 1
    unit.start("echo after")
    lines: list[str] = []
    assert unit.follow(lines.append) == 0
    assert lines == ["after"]


def test_a_stopped_unit_has_ended_without_an_exit_code(unit: Unit) -> None:
    unit.start("echo up; sleep 60 & wait")
    lines: list[str] = []
    code: list[int] = []
    follower = threading.Thread(target=lambda: code.append(unit.follow(lines.append)))
    follower.start()
    unit.stop()
    follower.join(10)
    assert code == [LOST]
    assert unit.state() == UnitState(running=False, exit_code=None)


class _Flaky:
    """A `Remote` whose connection breaks at the given calls."""

    def __init__(self, node: LocalNode, breaks: set[int]) -> None:
        self._node, self._breaks, self.calls = node, breaks, 0
        self.node = node.node
        self.put, self.get, self.receive, self.send = node.put, node.get, node.receive, node.send

    def run(self, script: str, **options: object) -> Result:
        self.calls += 1
        if self.calls in self._breaks:
            raise Unreachable("head", "the SSH connection broke", "Again.")
        return self._node.run(script, **options)  # type: ignore[arg-type]


def test_a_broken_connection_is_made_again_and_no_line_is_lost_or_doubled(node: LocalNode) -> None:
    flaky = _Flaky(node, {3, 4, 6})
    unit = Unit(flaky, "job-1", str(node.folder / "unit"))
    unit.start("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.05; done; exit 3")
    lines: list[str] = []
    reconnected: list[Remote] = []

    def reconnect() -> Remote:
        reconnected.append(flaky)
        return flaky

    assert unit.follow(lines.append, reconnect=reconnect) == 3
    assert lines == [f"line {i}" for i in range(1, 7)]
    assert reconnected


def test_without_a_way_to_reconnect_the_broken_connection_is_the_callers(node: LocalNode) -> None:
    unit = Unit(_Flaky(node, {3}), "job-1", str(node.folder / "unit"))
    unit.start("echo x")
    with pytest.raises(Unreachable):
        unit.follow(lambda _: None)


def test_a_node_that_stays_away_is_given_up_with_the_last_reason(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECONNECT", 0.3)
    unit = Unit(_Flaky(node, {3}), "job-1", str(node.folder / "unit"))
    unit.start("echo x")

    def reconnect() -> Remote:
        raise Unreachable("head", "SSH does not answer", "Run `pulumi up`.")

    with pytest.raises(Unreachable, match="SSH does not answer"):
        unit.follow(lambda _: None, reconnect=reconnect)


@pytest.mark.parametrize("ends", ["exit 7", "kill -9 $$"], ids=["ends", "is killed"])
def test_however_the_script_ends_its_scratch_folder_goes(node: LocalNode, ends: str) -> None:
    scratch = node.folder / "scratch"
    unit = Unit(node, "job-1", str(node.folder / "unit"), user="somebody", scratch=str(scratch))
    unit.start(f"mkdir {scratch}; touch {scratch}/x; {ends}")

    assert unit.follow(lambda _: None) in {7, 137}
    assert not scratch.exists()


def test_without_its_folder_nothing_is_run(node: LocalNode) -> None:
    """The words that make the script the user's come after the change of folder."""
    unit = Unit(node, "job-1", str(node.folder / "unit"), user="somebody")
    ran = node.folder / "ran"
    gone = f'rm -rf {node.folder}/unit; exec {node.bin}/systemd-run.real "$@"'
    real = node.bin / "systemd-run"
    real.rename(node.bin / "systemd-run.real")
    node.fake("systemd-run", gone)

    unit.start(f"touch {ran}")

    assert unit.follow(lambda _: None) == LOST
    assert not ran.exists()
