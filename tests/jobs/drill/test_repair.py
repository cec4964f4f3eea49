"""Repair of a stack, with stand-ins for its commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed
from jobs.drill.repair import Repair


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder with `pulumi` and `fab`, which write down how they were called."""
    for name in ("pulumi", "fab"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "{name} of $WHO"; echo "{name} $*" >>{tmp_path}/calls\n')
        path.chmod(0o755)
    return tmp_path


def test_nodes_are_repaired_by_the_commands_of_users(commands: Path) -> None:
    Repair("dev", commands, {"PATH": f"{commands}:/usr/bin:/bin", "WHO": "a drill"}).run(
        commands / "logs" / "log"
    )
    assert (commands / "calls").read_text().splitlines() == [
        "pulumi up --yes --skip-preview --non-interactive --stack dev",
        "fab build-headnode --stack dev",
    ]
    log = (commands / "logs" / "log").read_text()
    assert "$ pulumi up" in log
    assert "fab of a drill" in log


def test_a_repair_that_fails_names_its_command_and_log(commands: Path) -> None:
    (commands / "pulumi").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(CommandFailed, match=r"pulumi up .* --stack dev: it ended with status 3") as raised:
        Repair("dev", commands, {"PATH": f"{commands}:/usr/bin:/bin"}).run(commands / "log")
    assert str(commands / "log") in str(raised.value)
    assert not (commands / "calls").exists(), "nodes that are not there are not provisioned"
