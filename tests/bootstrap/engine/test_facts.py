from __future__ import annotations

import pytest

from bootstrap.cluster import Cluster
from bootstrap.engine import facts
from bootstrap.engine.command import Command
from bootstrap.errors import Unreachable
from tests.bootstrap.sandbox import Sandboxes

OUTPUT = """\
@fact distribution ubuntu-22.04
@fact arch arm64
@fact disk_free_mb 2048
@fact memory_mb 512
noise of a profile
@fact guard 1 1
@fact guard 0 0
"""


def command(guard: str) -> Command:
    return Command("r", "s", guard, "true")


def test_facts_are_read_in_whatever_order_guards_end() -> None:
    read = facts.parse(OUTPUT, 2)
    assert read == facts.Facts("ubuntu-22.04", "arm64", 2048, 512, (True, False))


def test_a_missing_guard_is_no_guess() -> None:
    with pytest.raises(ValueError, match="1 guards"):
        facts.parse(OUTPUT, 3)


def test_one_trip_reads_everything(sandboxes: Sandboxes) -> None:
    read = facts.read(sandboxes["w1"], [command("true"), command("false"), command("exit 3")])
    assert read.held == (True, False, False)
    assert read.distribution == "debian-12"
    assert read.disk_free_mb > 0
    assert read.memory_mb > 0
    assert sandboxes["w1"].trips == 1


def test_every_line_of_a_guard_counts(sandboxes: Sandboxes) -> None:
    assert facts.read(sandboxes["w1"], [command("false\ntrue"), command("echo $UNDEFINED")]).held == (
        False,
        False,
    )


def test_guards_may_print_read_and_quote_as_they_like(sandboxes: Sandboxes) -> None:
    guards = ["echo '@fact guard 0 1'", "cat; read line || true", "cat <<'EOF' >/dev/null\n$x `y`\nEOF\ntrue"]
    assert facts.read(sandboxes["w1"], [command(guard) for guard in guards]).held == (True, True, True)


def test_a_guard_that_hangs_does_not_hold_and_delays_nobody_for_long(
    sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "GUARD_TIMEOUT", 0.3)
    read = facts.read(sandboxes["w1"], [command("sleep 60"), command("true")])
    assert read.held == (False, True)


def test_a_guard_that_is_not_valid_shell_does_not_hold_and_harms_no_other(sandboxes: Sandboxes) -> None:
    guards = ["if true", "echo 'x", "exit 0", "true"]
    assert facts.read(sandboxes["w1"], [command(guard) for guard in guards]).held == (
        False,
        False,
        True,
        True,
    )


def test_what_the_node_says_of_its_system_is_no_variable_of_a_guard(sandboxes: Sandboxes) -> None:
    assert facts.read(sandboxes["w1"], [command('echo "$VERSION_ID"')]).held == (False,)


def test_a_node_that_roles_cannot_read_is_named(sandboxes: Sandboxes, cluster: Cluster) -> None:
    (sandboxes["w1"].box / "etc/os-release").unlink()
    with pytest.raises(Unreachable, match=r"w1 \(10.9.8.11\): its facts cannot be read"):
        facts.read(sandboxes["w1"], [])
