"""Files over SSH, against a server in this process: two operators send, or fetch, the same one at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import paramiko
import pytest
from paramiko.sftp import SFTP_FAILURE

from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, IntegrityError, Unreachable
from bootstrap.ssh import remote as remote_module
from bootstrap.ssh.remote import SshRemote, connect
from infra.keys import SshKeyProvider
from tests.at_once import at_once
from tests.bootstrap.local_node import LocalNode
from tests.bootstrap.ssh_server import Door, Files, Server
from tests.outputs import outputs_of

ROUNDS = 4
# A moment between a command's start and its effect, in which the other operator's runs.
SLOW = '#!/bin/sh\nsleep 0.0$(($$ % 5))\nexec {program} "$@"\n'


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in for the node's /tmp."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(remote_module, "SCRATCH", str(folder))
    return folder


@pytest.fixture
def operators(tmp_path: Path, scratch: Path, cluster: Cluster) -> Iterator[list[SshRemote]]:
    """Two connections to one node; its `chown` succeeds whoever runs the tests, and `mv` takes its time."""
    pair = outputs_of(SshKeyProvider(), purpose="operator")
    fakes = tmp_path / "bin"
    fakes.mkdir()
    for name, script in (
        ("chown", "#!/bin/sh\n"),
        ("mv", SLOW.format(program=shutil.which("mv"))),
        ("install", '#!/bin/sh\nfor last; do file=$before; before=$last; done; exec cp "$file" "$last"\n'),
    ):
        (fakes / name).write_text(script)
        (fakes / name).chmod(0o755)
    server = Server()
    server.door = Door(pair["public_key"], {"PATH": f"{fakes}:/usr/bin:/bin"})
    there = server.holds(cluster, pair["private_key"], server.host_key)
    with ExitStack() as stack:
        stack.callback(server.close)
        yield [stack.enter_context(connect(there, there.head)) for _ in range(2)]


def test_a_file_that_two_send_at_once_is_one_of_theirs_and_nothing_is_left_beside_it(
    operators: list[SshRemote], scratch: Path, tmp_path: Path
) -> None:
    target = tmp_path / "over there" / "a file"
    texts = [name * 50_000 for name in (b"a", b"b")]
    for _ in range(ROUNDS):
        at_once(
            *(
                lambda remote=remote, text=text: remote.put(text, str(target))
                for remote, text in zip(operators, texts, strict=True)
            )
        )
        assert target.read_bytes() in texts
        assert [*target.parent.iterdir(), *scratch.iterdir()] == [target]


def test_a_file_that_two_fetch_to_one_place_at_once_is_whole(
    operators: list[SshRemote], scratch: Path, tmp_path: Path
) -> None:
    source, here = tmp_path / "source", tmp_path / "here" / "file"
    source.write_bytes(b"x" * 300_000)
    for _ in range(ROUNDS):
        at_once(*(lambda remote=remote: remote.get(str(source), here) for remote in operators))
        assert here.read_bytes() == source.read_bytes()
        assert [*here.parent.iterdir(), *scratch.iterdir()] == [here]


def test_a_file_that_cannot_be_put_leaves_nothing_behind(
    operators: list[SshRemote], scratch: Path, tmp_path: Path
) -> None:
    target = tmp_path / "over there" / "a target"
    (target / "in the way").mkdir(parents=True)
    with pytest.raises(CommandFailed):
        operators[0].put(b"text", str(target))
    assert [*target.parent.iterdir(), *scratch.iterdir()] == [target]


def test_a_file_that_cannot_be_fetched_leaves_nothing_behind(
    operators: list[SshRemote], scratch: Path, tmp_path: Path
) -> None:
    with pytest.raises(CommandFailed):
        operators[0].get(str(tmp_path / "none"), tmp_path / "here" / "file")
    assert [*(tmp_path / "here").glob("*"), *scratch.iterdir()] == []


@pytest.mark.parametrize("from_file", [False, True])
def test_a_file_on_its_way_is_open_to_no_other_user_at_any_moment(
    operators: list[SshRemote],
    scratch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    from_file: bool,
) -> None:
    (source := tmp_path / "source").write_bytes(b"text")
    opened, plain = [], Files.open

    def watched(self: Files, path: str, flags: int, attr: paramiko.SFTPAttributes) -> object:
        handle = plain(self, path, flags, attr)
        way = [Path(path), *Path(path).parents]
        # What other users may do on the way below the scratch folder, which is open to all.
        opened.append(all(step.stat().st_mode & 0o007 for step in way[: way.index(scratch)]))
        return handle

    monkeypatch.setattr(Files, "open", watched)
    operators[0].put(source if from_file else b"text", str(tmp_path / "there"), mode=0o600)
    assert set(opened) == {False}
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o600


def test_a_file_that_breaks_off_leaves_nothing_behind(
    operators: list[SshRemote], scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        return SFTP_FAILURE

    monkeypatch.setattr(paramiko.SFTPHandle, "write", full)
    with pytest.raises(Unreachable):
        operators[0].put(b"text", str(tmp_path / "there"))
    assert list(scratch.iterdir()) == []


def test_a_scripts_output_arrives_whole_or_not_at_all(through: Cluster, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with connect(through, through.head) as head:
        made = head.receive(
            "head -c 300000 /dev/zero; echo done >&2", tmp_path / "to", moved=lambda *far: seen.append(far)
        )
        assert made.ok
        assert (tmp_path / "to").read_bytes() == bytes(300000)
        assert seen[-1] == (300000, 300000)
        refused = head.receive("echo part; echo why >&2; exit 7", tmp_path / "none")
    assert (refused.exit_code, refused.stderr) == (7, "why\n")
    assert not (tmp_path / "none").exists()
    assert [path.name for path in (tmp_path / "state").glob(".get-*")] == []


def test_output_that_changed_on_its_way_is_refused(through: Cluster, node: LocalNode, tmp_path: Path) -> None:
    node.fake("sha256sum", f"echo {'0' * 64}")
    with (
        connect(through, through.head) as head,
        pytest.raises(IntegrityError, match="another sha256"),
    ):
        head.receive("echo text", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_script_gets_a_copy_of_a_local_file(through: Cluster, node: LocalNode, tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(bytes(range(256)) * 1000)
    with connect(through, through.head) as head:
        done = head.send(tmp_path / "from", f'cp "$file" {tmp_path}/to; echo copied; exit 5')
    assert (done.exit_code, done.stdout) == (5, "copied\n")
    assert (tmp_path / "to").read_bytes() == (tmp_path / "from").read_bytes()
    assert list((tmp_path / "state").glob(".put-*")) == []
