"""`fab ssh` as typed: the node may be left out, and a command may follow `--`."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabric.main import program

from bootstrap import tasks
from bootstrap.cluster import Cluster, Node

ROOT = Path(__file__).resolve().parents[2]
Opened = list[tuple[str, str]]


@pytest.fixture
def opened(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Node and command of each shell that was opened."""
    found: Opened = []

    def shell(_: Cluster, node: Node, command: str) -> int:
        found.append((node.name, command))
        return 5 if command == "false" else 0

    monkeypatch.setattr(tasks, "cluster_of", lambda *_, **__: cluster)
    monkeypatch.setattr("bootstrap.ssh.shell.shell", shell)
    monkeypatch.chdir(ROOT)
    return found


def fab(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        program.run(["fab", *words])
        raise SystemExit(0)
    return int(str(ended.value.code))


@pytest.mark.parametrize(
    ("words", "node", "command"),
    [
        ([], "head", ""),
        (["w1"], "w1", ""),
        (["--stack", "dev"], "head", ""),
        (["--stack", "dev", "w2"], "w2", ""),
        (["w1", "--command", "uname -a"], "w1", "uname -a"),
        (["w1", "--", "uname", "-a"], "w1", "uname -a"),
        (["--", "uname", "-a"], "head", "uname -a"),
    ],
)
def test_node_and_command_are_where_they_are_typed(
    opened: Opened, words: list[str], node: str, command: str
) -> None:
    assert fab("ssh", *words) == 0
    assert opened == [(node, command)]


def test_the_commands_exit_status_is_fabs(opened: Opened) -> None:
    assert fab("ssh", "w1", "--command", "false") == 5


def test_a_node_that_is_not_there_is_refused_with_those_that_are(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab("ssh", "w9") == 1
    assert capsys.readouterr().err.strip() == "node 'w9': stack 'dev' has head, w1, w2. Name one of these."
    assert opened == []


def test_help_is_no_nodes_name(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert fab("ssh", "--help") == 0
    assert "--command" in capsys.readouterr().out
    assert opened == []


def test_arguments_that_are_required_still_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert fab("logs") == 1
    assert "did not receive required positional arguments: 'job'" in capsys.readouterr().err
