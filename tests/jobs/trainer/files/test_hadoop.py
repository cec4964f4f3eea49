"""Storage on the driver, over a stand-in for Hadoop's client."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.files.hadoop import Files, java_message, on_this_node


def status(uri: str, size: int, *, file: bool = True, time: int = 0) -> Any:
    path = SimpleNamespace(toString=lambda: uri)
    return SimpleNamespace(
        isFile=lambda: file, getPath=lambda: path, getLen=lambda: size, getModificationTime=lambda: time
    )


def files(found: Any) -> Files:
    def listed(_: Any) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    system = SimpleNamespace(listStatus=listed)
    fs = SimpleNamespace(Path=lambda _: SimpleNamespace(getFileSystem=lambda __: system))
    jvm = SimpleNamespace(org=SimpleNamespace(apache=SimpleNamespace(hadoop=SimpleNamespace(fs=fs))))
    jsc = SimpleNamespace(hadoopConfiguration=lambda: None)
    return Files(SimpleNamespace(_jvm=jvm, _jsc=jsc))


@pytest.mark.parametrize("uri", ["file:data/lmdb", "file:./data/lmdb"])
def test_a_relative_path_of_this_machine_begins_at_the_folder_of_the_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str
) -> None:
    """Hadoop's Path takes no relative path after a scheme."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "lmdb").mkdir(parents=True)

    assert files_of().absolute(uri) == f"file:{tmp_path}/data/lmdb"
    assert files_of().absolute("hdfs://h/data/lmdb") == "hdfs://h/data/lmdb"


def files_of() -> Files:
    """Files whose paths stay as they are given to Hadoop."""

    class Qualified:
        def __init__(self, text: str) -> None:
            self.text = text

        def getFileSystem(self, _: Any) -> Any:
            return SimpleNamespace(getUri=str, getWorkingDirectory=str)

        def makeQualified(self, *_: Any) -> Any:
            return SimpleNamespace(toString=lambda: self.text)

    hadoop = SimpleNamespace(fs=SimpleNamespace(Path=Qualified))
    jvm = SimpleNamespace(org=SimpleNamespace(apache=SimpleNamespace(hadoop=hadoop)))
    return Files(SimpleNamespace(_jvm=jvm, _jsc=SimpleNamespace(hadoopConfiguration=lambda: None)))


def test_files_of_a_folder_are_listed_by_name_without_those_that_hold_no_records() -> None:
    found = [
        status("hdfs://h/s/part-1", 7),
        status("hdfs://h/s/_SUCCESS", 0),
        status("hdfs://h/s/.part-0.crc", 12),
        status("hdfs://h/s/_temporary", 0, file=False),
        status("hdfs://h/s/part-0", 5),
    ]

    assert files(found).listed("hdfs://h/s") == [("hdfs://h/s/part-0", 5), ("hdfs://h/s/part-1", 7)]


def test_a_folder_inside_a_source_is_refused_and_not_left_out() -> None:
    found = [status("hdfs://h/s/part-0", 5), status("hdfs://h/s/more", 0, file=False)]

    with pytest.raises(Refused, match="hdfs://h/s: it has a folder in it, hdfs://h/s/more"):
        files(found).listed("hdfs://h/s")


def test_a_folder_that_cannot_be_listed_is_told() -> None:
    with pytest.raises(TrainerError, match="hdfs://h/s: it cannot be listed"):
        files(OSError("permission denied")).listed("hdfs://h/s")


def test_a_stamp_is_another_once_a_file_has_been_written() -> None:
    both = [status("hdfs://h/d/data.mdb", 5, time=1), status("hdfs://h/d/a", 1)]
    stamp = files(both).stamp("hdfs://h/d")
    assert files(both[::-1]).stamp("hdfs://h/d") == stamp
    both[0] = status("hdfs://h/d/data.mdb", 5, time=2)
    assert files(both).stamp("hdfs://h/d") != stamp


class Storage:
    """A file system of files by path, with Hadoop's arguments."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def create(self, path: Any, overwrite: bool) -> Any:
        if path.text in self.content and not overwrite:
            raise OSError("already exists")
        self.content[path.text] = b""

        def write(given: bytearray) -> None:
            self.content[path.text] += bytes(given)

        return SimpleNamespace(write=write, close=lambda: None)

    def open(self, path: Any) -> Any:
        read = iter(self.content[path.text])
        return SimpleNamespace(read=lambda: next(read, -1), close=lambda: None)

    def copyToLocalFile(self, remove: bool, path: Any, target: Any, raw: bool) -> None:
        # A local file system that is not raw writes a checksum beside each file.
        Path(target.text).write_bytes(self.content.pop(path.text) if remove else self.content[path.text])
        if not raw:
            Path(target.text).with_name(f".{Path(target.text).name}.crc").touch()


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def held(storage: Storage) -> Files:
    def path(text: str) -> Any:
        return SimpleNamespace(text=text, getFileSystem=lambda _: storage)

    jvm = SimpleNamespace(
        org=SimpleNamespace(apache=SimpleNamespace(hadoop=SimpleNamespace(fs=SimpleNamespace(Path=path))))
    )
    return Files(SimpleNamespace(_jvm=jvm, _jsc=SimpleNamespace(hadoopConfiguration=lambda: None)))


def test_a_file_that_is_written_replaces_an_older_one(storage: Storage, held: Files) -> None:
    for text in ("a longer one", "größe"):
        held.write("hdfs://h/f", text)

    assert storage.content == {"hdfs://h/f": "größe".encode()}


def test_the_head_of_a_file_has_its_bytes_or_fewer_where_it_ends(storage: Storage, held: Files) -> None:
    storage.content["hdfs://h/f"] = b"\0\x01\xff"

    assert [held.head("hdfs://h/f", size) for size in (0, 2, 3, 8)] == [
        b"",
        b"\0\x01",
        b"\0\x01\xff",
        b"\0\x01\xff",
    ]


def test_a_file_is_fetched_alone_and_stays_in_storage(storage: Storage, held: Files, tmp_path: Path) -> None:
    storage.content["hdfs://h/f"] = b"mean"

    held.fetch("hdfs://h/f", tmp_path / "f")

    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("f", b"mean")]
    assert storage.content == {"hdfs://h/f": b"mean"}


@pytest.mark.parametrize("words", ["SafeModeException: not now", "Name node is in safe mode"])
def test_a_name_node_in_safe_mode_is_told_so(words: str) -> None:
    with pytest.raises(Refused) as refused:
        files(OSError(words)).stamp("hdfs://h/s")
    assert refused.value.code == "hdfs-safe-mode"


def test_javas_words_are_the_first_line_or_the_kind_of_an_error_without_words() -> None:
    error = RuntimeError("of py4j")
    assert java_message(error) == "of py4j"
    error.java_exception = SimpleNamespace(  # type: ignore[attr-defined]
        toString=lambda: "\njava.io.IOException: no\n\tat x"
    )
    assert java_message(error) == "java.io.IOException: no"
    assert java_message(KeyError()) == "KeyError"


def test_a_local_file_has_to_be_on_this_node(tmp_path: Path) -> None:
    assert on_this_node(f"file:{tmp_path}") == tmp_path
    with pytest.raises(Refused, match=f"file:{tmp_path}/none"):
        on_this_node(f"file:{tmp_path}/none")
