"""`fab get` and `fab put` against a node that is this machine, and HDFS that is a folder of it."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import CommandFailed, ConfigError, StackError
from bootstrap.ssh.remote import Result
from bootstrap.transfer import ends, transfer
from bootstrap.transfer.on_node import content
from tests.bootstrap.local_node import HDFS, LocalNode


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalNode:
    """Every node of the cluster."""
    folder = tmp_path / "node"
    folder.mkdir()
    made = LocalNode(folder)
    made.fake("hdfs", HDFS)
    (folder / "state" / "dfs").mkdir()
    (folder / "staging").mkdir()

    @contextmanager
    def connect(_: Cluster, there: Node) -> Iterator[LocalNode]:
        made.node = there
        yield made

    monkeypatch.setattr(transfer, "connect", connect)
    monkeypatch.setattr("bootstrap.storage.namenode.require_writable", lambda *_: None)
    monkeypatch.setattr(ends, "STAGING", str(folder / "staging"))
    monkeypatch.chdir(tmp_path)
    return made


class Far:
    """One of the kinds of place that a path can be in, as typed and as a folder of this machine."""

    def __init__(self, typed: str, folder: Path) -> None:
        self.typed, self.folder = typed, folder


@pytest.fixture(params=["node", "name", "uri"])
def far(request: pytest.FixtureRequest, node: LocalNode, cluster: Cluster) -> Far:
    dfs = node.folder / "state" / "dfs"
    folder = node.folder / "far"
    if request.param == "node":
        folder.mkdir()
        return Far(f"w1:{folder}", folder)
    (dfs / "data").mkdir()
    typed = "data" if request.param == "name" else f"{cluster.shared_storage}/data"
    return Far(typed, dfs / "data")


def tree(folder: Path) -> Path:
    (folder / "below" / "empty").mkdir(parents=True)
    (folder / "below" / "a b.txt").write_text("one")
    (folder / "big").write_bytes(os.urandom(3 << 20))
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_put_comes_back_the_same(
    cluster: Cluster, node: LocalNode, far: Far, console: Console, tmp_path: Path, kind: str
) -> None:
    source = tree(tmp_path / "source")
    source = source if kind == "folder" else source / "big"
    transfer.put(cluster, str(source), f"{far.typed}/there", console)
    transfer.get(cluster, f"{far.typed}/there", str(tmp_path / "back"), console)
    assert content.sums(str(tmp_path / "back")) == content.sums(str(source))
    # Nothing of the way is left, on any side.
    assert names(far.folder) == ["there"]
    assert names(node.folder / "staging") == []
    assert [name for name in names(tmp_path) if name not in {"node", "roles"}] == ["back", "source"]


@pytest.mark.parametrize("verb", ["put", "get"])
def test_a_folder_of_many_files_has_the_time_that_a_transfer_has(
    cluster: Cluster, node: LocalNode, console: Console, tmp_path: Path, verb: str
) -> None:
    limits = tmp_path / "node" / "limits"
    node.fake("timeout", f'echo "$3" >>{limits}\nshift 3\nexec "$@"')
    transfer.put(cluster, str(tree(tmp_path / "source")), "images", console)
    if verb == "get":
        limits.unlink()
        transfer.get(cluster, "images", str(tmp_path / "back"), console)
    assert min(map(float, limits.read_text().split())) > 0.9 * ends.TIMEOUT


def test_the_put_of_a_folder_ends_with_the_connection_and_leaves_nothing(
    cluster: Cluster, node: LocalNode, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stored = tmp_path / "begun", node.folder / "state" / "dfs"
    slow = f'mkdir "{stored}/${{4##*/}}"; echo $$ >{begun}; exec sleep 60'
    node.fake("hdfs", f'if [ "$2" = -put ]; then {slow}; fi\n{HDFS}')
    run = node.run

    def hang_up(script: str, **words: object) -> Result:
        if "-put" not in script:
            return run(script, check=False)
        shell = node.started(script)
        eventually(begun.exists)
        for pipe in (shell.stdout, shell.stderr):
            assert pipe is not None
            pipe.close()
        return Result(shell.wait(30), "", "")

    monkeypatch.setattr(node, "run", hang_up)
    with pytest.raises(CommandFailed):
        transfer.put(cluster, str(tree(tmp_path / "source")), "images", console)
    assert not Path(f"/proc/{begun.read_text().strip()}").exists()
    assert names(stored) == names(node.folder / "staging") == []


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_second_run_says_that_it_is_there(
    cluster: Cluster, far: Far, console: Console, tmp_path: Path
) -> None:
    source = tree(tmp_path / "source")
    for _ in range(2):
        transfer.put(cluster, str(source), f"{far.typed}/there", console)
    for _ in range(2):
        transfer.get(cluster, f"{far.typed}/there", str(tmp_path / "back"), console)
    assert [": it is there already" in line for line in said(console).splitlines()] == [
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_other_content_is_replaced_by_force_only(
    cluster: Cluster, far: Far, console: Console, tmp_path: Path, kind: str
) -> None:
    old, new = tmp_path / "old", tree(tmp_path / "new")
    old.write_text("old")
    if kind == "folder":
        old.unlink()
        old.mkdir()
        (old / "gone").write_text("old")
    transfer.put(cluster, str(old), f"{far.typed}/there", console)
    with pytest.raises(ConfigError, match=r"it exists, with other content.*--force"):
        transfer.put(cluster, str(new), f"{far.typed}/there", console)
    assert content.sums(str(far.folder / "there")) == content.sums(str(old))
    transfer.put(cluster, str(new), f"{far.typed}/there", console, force=True)
    assert content.sums(str(far.folder / "there")) == content.sums(str(new))

    with pytest.raises(ConfigError, match=r"it exists, with other content.*--force"):
        transfer.get(cluster, f"{far.typed}/there", str(old), console)
    transfer.get(cluster, f"{far.typed}/there", str(old), console, force=True)
    assert content.sums(str(old)) == content.sums(str(new))
    assert names(far.folder) == ["there"]


def test_what_is_not_there_is_named(cluster: Cluster, far: Far, console: Console, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="there is no such file or folder"):
        transfer.get(cluster, f"{far.typed}/nosuch", str(tmp_path / "back"), console)
    assert not (tmp_path / "back").exists()
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        transfer.put(cluster, str(tmp_path / "nosuch"), f"{far.typed}/there", console)


def test_a_transfer_that_fails_leaves_nothing(
    cluster: Cluster, node: LocalNode, far: Far, console: Console, tmp_path: Path
) -> None:
    source = tree(tmp_path / "source")
    node.fake("mv", "echo 'No space left on device' >&2; exit 1")
    with pytest.raises(CommandFailed, match="No space left on device"):
        transfer.put(cluster, str(source), f"{far.typed}/there", console)
    assert names(far.folder) == []
    assert names(node.folder / "staging") == []


def test_a_node_keeps_the_old_folder_when_the_new_one_cannot_take_its_name(
    cluster: Cluster, node: LocalNode, console: Console, tmp_path: Path
) -> None:
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new")
    node.fake("mv", 'case "$2 $3" in *there.*.old*) exec /bin/mv "$@" ;; esac; exit 1')
    (tmp_path / "far").mkdir()
    transfer._replace(tmp_path / "far" / "there", old)
    before = content.sums(str(tmp_path / "far" / "there"))
    with pytest.raises(CommandFailed):
        transfer.put(cluster, str(new), f"w1:{tmp_path}/far/there", console, force=True)
    assert names(tmp_path / "far") == ["there"]
    assert content.sums(str(tmp_path / "far" / "there")) == before


def test_any_name_of_a_node_is_taken_as_it_is(
    cluster: Cluster, node: LocalNode, console: Console, tmp_path: Path
) -> None:
    odd = "it's 100% [of] $HOME *"
    (tmp_path / "file").write_text("text")
    transfer.put(cluster, "file", f"w1:{tmp_path}/far/{odd}", console)
    assert (tmp_path / "far" / odd).read_text() == "text"
    transfer.get(cluster, f"w1:{tmp_path}/far/{odd}", "back", console)
    assert (tmp_path / "back").read_text() == "text"


def test_a_folder_is_named_by_a_trailing_slash(
    cluster: Cluster, far: Far, console: Console, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("text")
    transfer.put(cluster, "file", f"{far.typed}/", console)
    assert (far.folder / "file").read_text() == "text"
    transfer.get(cluster, f"{far.typed}/file", "into/", console)
    (tmp_path / "file").unlink()
    transfer.get(cluster, f"{far.typed}/file", ".", console)
    assert (tmp_path / "into" / "file").read_text() == (tmp_path / "file").read_text() == "text"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("w9:/etc/hosts", "stack 'dev' has head, w1, w2"),
        ("w1:etc/hosts", "not an absolute path"),
        ("w1:/", "whole file system"),
        ("s3a://elsewhere/data", "not in the shared storage of stack 'dev', hdfs://"),
        ("hdfs://head:9000", "not in the shared storage"),
        ("/", "the whole storage"),
        ("data/../..", "leads out of a folder"),
        ("data/*", "cannot be in a name"),
        ("data/a\nb", "cannot be in a name"),
    ],
)
def test_a_place_that_is_none_is_refused(
    cluster: Cluster, node: LocalNode, console: Console, typed: str, why: str
) -> None:
    with pytest.raises((ConfigError, StackError), match=why):
        transfer.get(cluster, typed, "back", console)
    assert node.scripts == []


def test_links_of_a_folder_are_left_out(cluster: Cluster, far: Far, console: Console, tmp_path: Path) -> None:
    folder = far.folder / "there"
    folder.mkdir()
    (folder / "file").write_text("text")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("/etc")
    transfer.get(cluster, f"{far.typed}/there", "back", console)
    assert names(tmp_path / "back") == ["file"]


@pytest.mark.parametrize("name", ["../out", "/abs", "a/../../out"])
def test_a_stream_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    stream.seek(0)
    with pytest.raises(ValueError, match="does not belong into a folder"):
        content.unpack(stream, str(tmp_path / "folder"))
    assert not (tmp_path / "out").exists()


def test_a_stream_with_a_link_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    member = tarfile.TarInfo("link")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc"
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(member)
    stream.seek(0)
    with pytest.raises(ValueError, match="does not belong into a folder"):
        content.unpack(stream, str(tmp_path / "folder"))


def test_programs_stay_executable(
    cluster: Cluster, node: LocalNode, console: Console, tmp_path: Path
) -> None:
    source = tree(tmp_path / "source")
    transfer.put(cluster, str(source), f"w1:{tmp_path}/there", console)
    transfer.put(cluster, str(source / "run"), f"w1:{tmp_path}/run", console)
    for path in (tmp_path / "there" / "run", tmp_path / "run"):
        assert path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "there" / "big").stat().st_mode & 0o777 == 0o644
