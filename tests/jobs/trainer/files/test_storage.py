"""Storage on executors: `file:` directly, other URIs through `hdfs dfs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.files import storage

HDFS = """#!/bin/sh
echo "$*" >>{log}
verb=$2; shift 2
case $verb in
-mkdir) mkdir -p "{root}/${{2#hdfs://head}}";;
-cat) cat "{root}/${{1#hdfs://head}}";;
-rm) rm -f "{root}/${{3#hdfs://head}}";;
-mv) [ ! -e "{root}/${{2#hdfs://head}}" ] || {{ echo "mv: File exists"; exit 1; }}
  mv "{root}/${{1#hdfs://head}}" "{root}/${{2#hdfs://head}}";;
-get) cp -R "{root}/${{1#hdfs://head}}" "$2" || {{ echo "WARN later"; exit 1; }};;
-put) cp "$2" "{root}/${{3#hdfs://head}}" || {{ echo "put: no such folder"; exit 1; }};;
esac
"""


@pytest.fixture
def hdfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for `hdfs` that keeps its files in a folder; `calls` has its command lines."""
    program = tmp_path / "hdfs"
    program.write_text(HDFS.format(log=tmp_path / "calls", root=tmp_path / "root"))
    program.chmod(0o755)
    (tmp_path / "root" / "there").mkdir(parents=True)
    monkeypatch.setattr(storage, "HDFS", str(program))
    return tmp_path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.caffemodel"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/a/b", "/a/b"),
        ("file:///a/b", "/a/b"),
        ("file://localhost/a", "/a"),
        ("hdfs://head/a", ""),
        ("/a/b", ""),
        ("file://other/a", ""),
        ("file:/a b/c#d?e%20f", "/a b/c#d?e%20f"),
    ],
)
def test_one_slash_or_three_make_a_local_path(uri: str, path: str) -> None:
    assert storage.local_path(uri) == path


@pytest.mark.parametrize(
    ("uri", "whole"),
    [
        ("file:a/b", "file:{}/a/b"),
        ("file:/a/b", "file:/a/b"),
        ("file:///a/b", "file:///a/b"),
        ("hdfs://head/a", "hdfs://head/a"),
        ("a/b", "a/b"),
        ("file://other/a", "file://other/a"),
    ],
)
def test_a_relative_local_path_begins_at_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, whole: str
) -> None:
    monkeypatch.chdir(tmp_path)

    assert storage.whole(uri) == whole.format(tmp_path)


def test_a_local_file_is_written_with_its_folder(tmp_path: Path, model: Path) -> None:
    for text in (b"longer weights", b"weights"):
        model.write_bytes(text)
        storage.put(model, f"file://{tmp_path}/new/folder/m")

    assert (tmp_path / "new/folder/m").read_bytes() == b"weights"
    assert [path.name for path in (tmp_path / "new/folder").iterdir()] == ["m"]


def test_a_local_file_that_cannot_be_written_is_told(tmp_path: Path, model: Path) -> None:
    with pytest.raises(TrainerError, match="it cannot be written"):
        storage.put(model, f"file://{model}/below/a/file")


def test_a_file_goes_to_storage_in_one_call_when_its_folder_is_there(hdfs: Path, model: Path) -> None:
    storage.put(model, "hdfs://head/there/m")

    assert (hdfs / "root/there/m").read_bytes() == b"weights"
    assert (hdfs / "calls").read_text() == f"dfs -put -f {model} hdfs://head/there/m\n"


def test_a_missing_folder_is_made(hdfs: Path, model: Path) -> None:
    storage.put(model, "hdfs://head/a/b/m")

    assert (hdfs / "root/a/b/m").read_bytes() == b"weights"


def test_storages_own_words_are_in_the_message(hdfs: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="hdfs://head/x/m: it cannot be written: put: no such folder"):
        storage.put(tmp_path / "missing", "hdfs://head/x/m")


def test_the_explanation_of_options_is_no_reason(model: Path) -> None:
    lines = ["-mkdir: java.net.UnknownHostException: nowhere", "Usage: hadoop fs [generic options] -mkdir"]

    with pytest.raises(TrainerError, match=r"it cannot be written: -mkdir: java.net.UnknownHostException"):
        storage.put(model, "hdfs://nowhere/m", run=lambda _: (1, lines))


def test_a_folder_is_fetched_and_what_cannot_be_read_is_told(hdfs: Path, tmp_path: Path) -> None:
    (hdfs / "root/db").mkdir()
    (hdfs / "root/db/data.mdb").write_bytes(b"records")

    storage.get("hdfs://head/db", tmp_path / "here")

    assert (tmp_path / "here/data.mdb").read_bytes() == b"records"
    with pytest.raises(TrainerError, match="hdfs://head/none: it cannot be read: cp: "):
        storage.get("hdfs://head/none", tmp_path / "there")


def test_a_node_without_hdfs_is_told(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setattr(storage, "HDFS", "/nowhere/hdfs")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(TrainerError, match="`hdfs dfs -put` failed"):
        storage.put(model, "hdfs://head/x")


def test_characters_that_are_patterns_or_of_uris_reach_hdfs_as_they_are(hdfs: Path, tmp_path: Path) -> None:
    odd = tmp_path / "my net#1"
    odd.write_bytes(b"weights")

    with pytest.raises(TrainerError):
        storage.put(odd, "hdfs://head/there/a b*[1]{x,y}?")

    # `-put` reads its source as a URI and its target as a pattern.
    call = f"dfs -put -f {tmp_path}/my%20net%231 hdfs://head/there/a b\\*\\[1\\]\\{{x,y\\}}\\?"
    assert (hdfs / "calls").read_text().splitlines()[0] == call


def refuse() -> None:
    raise TrainerError("fenced", generation=1, newest="2", uri="u")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("there", [True, False])
def test_a_file_takes_its_name_when_that_is_allowed(hdfs: Path, model: Path, *, there: bool) -> None:
    if there:
        (hdfs / "root/there/m").write_bytes(b"old")
    asked = list[list[str]]()

    storage.put(model, "hdfs://head/there/m", allowed=lambda: asked.append(names(hdfs / "root/there")))

    # Again before the old file is removed: the renaming may have waited for a network.
    assert asked == ([["m", "m.part"]] * 2 if there else [["m.part"]])
    assert (hdfs / "root/there/m").read_bytes() == b"weights"
    assert names(hdfs / "root/there") == ["m"]


def test_a_file_that_is_not_allowed_leaves_the_old_one_and_no_other(hdfs: Path, model: Path) -> None:
    (hdfs / "root/there/m").write_bytes(b"old")

    with pytest.raises(TrainerError, match="has taken its place"):
        storage.put(model, "hdfs://head/there/m", allowed=refuse)

    assert (hdfs / "root/there/m").read_bytes() == b"old"
    assert names(hdfs / "root/there") == ["m"]


def test_a_file_of_a_newer_attempt_that_came_meanwhile_stays(hdfs: Path, model: Path) -> None:
    asked: list[str] = []

    def once() -> None:
        if asked:
            refuse()
        asked.append("")
        (hdfs / "root/there/m").write_bytes(b"newer")

    with pytest.raises(TrainerError, match="has taken its place"):
        storage.put(model, "hdfs://head/there/m", allowed=once, part=".1-a1b2.part")

    assert (hdfs / "root/there/m").read_bytes() == b"newer"
    assert names(hdfs / "root/there") == ["m"]


def test_a_local_file_that_is_not_allowed_leaves_the_old_one_and_no_other(
    tmp_path: Path, model: Path
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/m").write_bytes(b"old")

    with pytest.raises(TrainerError, match="has taken its place"):
        storage.put(model, f"file:{tmp_path}/there/m", allowed=refuse)

    assert (tmp_path / "there/m").read_bytes() == b"old"
    assert names(tmp_path / "there") == ["m"]


@pytest.mark.parametrize("scheme", ["file:{}/root", "hdfs://head"])
def test_files_are_removed_once(hdfs: Path, scheme: str) -> None:
    (hdfs / "root/there/m").write_bytes(b"old")
    uri = scheme.format(hdfs) + "/there/m"

    storage.remove([uri, uri])

    assert names(hdfs / "root/there") == []


@pytest.mark.parametrize("scheme", ["file:{}/root", "hdfs://head"])
def test_a_small_file_is_read_and_a_missing_one_told(hdfs: Path, scheme: str) -> None:
    (hdfs / "root/there/m").write_text("12\n")
    folder = scheme.format(hdfs) + "/there"

    assert storage.read(f"{folder}/m").strip() == "12"
    with pytest.raises(TrainerError, match="none: it cannot be read"):
        storage.read(f"{folder}/none")
